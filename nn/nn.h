#pragma once

// Modules and what initialises them.

#include <retrace/nn/activation.h>
#include <retrace/nn/dropout.h>
#include <retrace/nn/embedding.h>
#include <retrace/nn/init.h>
#include <retrace/nn/layer_norm.h>
#include <retrace/nn/linear.h>
#include <retrace/nn/module.h>
#include <retrace/nn/sequential.h>
