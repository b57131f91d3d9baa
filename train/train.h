#pragma once

// What stands around a model: a program's options and results, the training loop, checkpoints.

#include <retrace/train/alignment_stages.h>
#include <retrace/train/binary_metrics.h>
#include <retrace/train/checkpoint.h>
#include <retrace/train/classifier.h>
#include <retrace/train/distributed.h>
#include <retrace/train/exact_preference_loss.h>
#include <retrace/train/figure.h>
#include <retrace/train/label_metrics.h>
#include <retrace/train/language_model.h>
#include <retrace/train/log.h>
#include <retrace/train/metrics.h>
#include <retrace/train/options.h>
#include <retrace/train/oracle.h>
#include <retrace/train/own_draws.h>
#include <retrace/train/pictures.h>
#include <retrace/train/plot.h>
#include <retrace/train/policy_gradient.h>
#include <retrace/train/policy_pictures.h>
#include <retrace/train/policy_table.h>
#include <retrace/train/predict.h>
#include <retrace/train/preference_loss.h>
#include <retrace/train/preference_objective.h>
#include <retrace/train/preferences.h>
#include <retrace/train/recipe.h>
#include <retrace/train/regression_metrics.h>
#include <retrace/train/regression_scores.h>
#include <retrace/train/retrieval_metrics.h>
#include <retrace/train/reward_model.h>
#include <retrace/train/reward_scores.h>
#include <retrace/train/rollouts.h>
#include <retrace/train/run.h>
#include <retrace/train/saved_model.h>
#include <retrace/train/table.h>
#include <retrace/train/trainer.h>
