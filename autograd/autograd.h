#pragma once

// The tape, and every op that it can record.

#include <retrace/autograd/anomaly.h>
#include <retrace/autograd/backprop.h>
#include <retrace/autograd/composite.h>
#include <retrace/autograd/grad_mode.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/autograd/node.h>
#include <retrace/autograd/observer.h>
#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/attention.h>
#include <retrace/autograd/ops/bilinear.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/convolution.h>
#include <retrace/autograd/ops/distance.h>
#include <retrace/autograd/ops/dropout.h>
#include <retrace/autograd/ops/extremum.h>
#include <retrace/autograd/ops/gated.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/normalization.h>
#include <retrace/autograd/ops/pooling.h>
#include <retrace/autograd/ops/rearranging.h>
#include <retrace/autograd/ops/recurrent.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/scan.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/similarity.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/autograd/ops/sorting.h>
#include <retrace/autograd/ops/view.h>
