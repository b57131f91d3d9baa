#pragma once

// Optimizers, gradient clipping, learning-rate schedules.

#include <retrace/optim/adadelta.h>
#include <retrace/optim/adagrad.h>
#include <retrace/optim/adam.h>
#include <retrace/optim/adamax.h>
#include <retrace/optim/by_name.h>
#include <retrace/optim/clip.h>
#include <retrace/optim/lion.h>
#include <retrace/optim/muon.h>
#include <retrace/optim/nadam.h>
#include <retrace/optim/optimizer.h>
#include <retrace/optim/radam.h>
#include <retrace/optim/rmsprop.h>
#include <retrace/optim/schedule.h>
#include <retrace/optim/schedules.h>
#include <retrace/optim/sgd.h>
