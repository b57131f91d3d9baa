#pragma once

// Every loss. A loss takes logits wherever that is the stable form, demands equal shapes, and
// reduces to a mean unless told otherwise.

#include <retrace/losses/advantages.h>
#include <retrace/losses/binary_classification.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/contrastive.h>
#include <retrace/losses/distillation.h>
#include <retrace/losses/divergence.h>
#include <retrace/losses/language.h>
#include <retrace/losses/metric_learning.h>
#include <retrace/losses/perplexity.h>
#include <retrace/losses/policy_gradient.h>
#include <retrace/losses/preference.h>
#include <retrace/losses/quantile.h>
#include <retrace/losses/reduction.h>
#include <retrace/losses/regression.h>
