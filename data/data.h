#pragma once

// Readers of files, datasets, the loader, and tasks with a known answer.

#include <retrace/data/augment.h>
#include <retrace/data/balance.h>
#include <retrace/data/class_pairs.h>
#include <retrace/data/csv.h>
#include <retrace/data/dataset.h>
#include <retrace/data/files.h>
#include <retrace/data/idx.h>
#include <retrace/data/jsonl.h>
#include <retrace/data/loader.h>
#include <retrace/data/outputs.h>
#include <retrace/data/padding.h>
#include <retrace/data/responses.h>
#include <retrace/data/table_encoder.h>
#include <retrace/data/tasks/agreement_grammar.h>
#include <retrace/data/tasks/digit_instructions.h>
#include <retrace/data/tasks/discs.h>
#include <retrace/data/tasks/exponential_noise.h>
#include <retrace/data/tasks/gaussians.h>
#include <retrace/data/tasks/grammar.h>
#include <retrace/data/tasks/gumbel_rewards.h>
#include <retrace/data/tasks/latent_classes.h>
#include <retrace/data/tasks/linear_teacher.h>
#include <retrace/data/tasks/markov_chain.h>
#include <retrace/data/tasks/rewarded_responses.h>
#include <retrace/data/tasks/soft_labels.h>
#include <retrace/data/tasks/spiral.h>
#include <retrace/data/tasks/triplets.h>
#include <retrace/data/text.h>
#include <retrace/data/text_blocks.h>
#include <retrace/data/tokenizer.h>
