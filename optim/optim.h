#pragma once

// Optimizers, gradient clipping, learning-rate schedules.

#include <retrace/optim/adam.h>
#include <retrace/optim/clip.h>
#include <retrace/optim/optimizer.h>
#include <retrace/optim/rmsprop.h>
#include <retrace/optim/schedule.h>
#include <retrace/optim/schedules.h>
#include <retrace/optim/sgd.h>
