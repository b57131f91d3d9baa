#pragma once

// Modules and what initialises them.

#include <retrace/nn/activation.h>
#include <retrace/nn/attention.h>
#include <retrace/nn/batch_norm.h>
#include <retrace/nn/bilinear.h>
#include <retrace/nn/by_name.h>
#include <retrace/nn/conv.h>
#include <retrace/nn/dropout.h>
#include <retrace/nn/embedding.h>
#include <retrace/nn/eval_guard.h>
#include <retrace/nn/flatten.h>
#include <retrace/nn/gated.h>
#include <retrace/nn/group_norm.h>
#include <retrace/nn/init.h>
#include <retrace/nn/instance_norm.h>
#include <retrace/nn/key_value_cache.h>
#include <retrace/nn/language_model.h>
#include <retrace/nn/layer_norm.h>
#include <retrace/nn/linear.h>
#include <retrace/nn/mlp.h>
#include <retrace/nn/module.h>
#include <retrace/nn/module_list.h>
#include <retrace/nn/norm.h>
#include <retrace/nn/pooling.h>
#include <retrace/nn/recurrent.h>
#include <retrace/nn/reward_model.h>
#include <retrace/nn/rms_norm.h>
#include <retrace/nn/sampling.h>
#include <retrace/nn/sequential.h>
#include <retrace/nn/transformer.h>
