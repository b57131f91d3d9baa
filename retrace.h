#pragma once

// All of Retrace.

#include <retrace/autograd/autograd.h>
#include <retrace/data/data.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/named.h>
#include <retrace/tensor/npy.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/pool.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tensor/tensor.h>
#include <retrace/tensor/version.h>
#include <retrace/trace/compare.h>
#include <retrace/trace/html.h>
#include <retrace/trace/recorder.h>
#include <retrace/trace/story.h>
#include <retrace/train/train.h>
