// Wrong calls of losses, layers, modules and optimizers.
#include <retrace/tests/reliability/bad_calls.h>

#include <limits>

using namespace retrace;
using namespace retrace::testing;

std::vector<BadCall> retrace::testing::bad_layers() {
  using namespace losses;
  return {
      {"B054",
       [] {
         return Arguments{zeros({2, 3}), tensor({0, 3})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kIndex,
       {"cross_entropy: target 3 (element 1 of [2]) is outside [0, 3)", "[2, 3]"}},
      {"B055",
       [] {
         return Arguments{zeros({2, 3}), tensor({-1, 0})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kIndex,
       {"cross_entropy: target -1 (element 0 of [2]) is outside [0, 3)"}},
      {"B056",
       [] {
         return Arguments{zeros({2, 3}), tensor({0, 1, 2})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kShape,
       {"cross_entropy: targets are [3] for an input [2, 3]", "[2]"}},
      {"B057",
       [] {
         return Arguments{zeros({2, 3}), ones({2})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kDType,
       {"cross_entropy: targets are float32 [2]", "[2, 3]", "int64", ".to(kInt64)"}},
      {"B058",
       [] {
         return Arguments{zeros({2, 3}), ones({2}, kBool)};
       },
       [](const Arguments& a) { nll_loss(a[0], a[1]); },
       kDType,
       {"nll_loss: class targets must be int64", "bool [2]", ".to(kInt64)"}},
      {"B059",
       [] {
         return Arguments{full({5, 1}, 0.5), ones({5})};
       },
       [](const Arguments& a) { bce_loss(a[0], a[1]); },
       kShape,
       {"bce_loss: ", "[5, 1]", "[5]"}},
      {"B060",
       [] {
         return Arguments{tensor({0.5, 1.5}), ones({2})};
       },
       [](const Arguments& a) { bce_loss(a[0], a[1]); },
       kValue,
       {"bce_loss: ", "1.5", "[0, 1]"}},
      {"B061",
       [] {
         return Arguments{ones({5, 1}), ones({5})};
       },
       [](const Arguments& a) { bce_with_logits(a[0], a[1]); },
       kShape,
       {"bce_with_logits: ", "[5, 1]", "[5]"}},
      {"B062",
       [] {
         return Arguments{ones({5}), ones({4})};
       },
       [](const Arguments& a) { mse_loss(a[0], a[1]); },
       kShape,
       {"mse_loss: ", "[5]", "[4]"}},
      {"B064",
       [] {
         return Arguments{ones({3, 4}), ones({2, 5})};
       },
       [](const Arguments& a) { linear(a[0], a[1]); },
       kShape,
       {"linear: x is [3, 4], weight [2, 5]"}},
      {"B065",
       [] {
         return Arguments{ones({3, 4}, kInt64), ones({2, 4})};
       },
       [](const Arguments& a) { linear(a[0], a[1]); },
       kDType,
       {"linear: x is int64 [3, 4], weight float32 [2, 4]", ".to(float32)"}},
      {"B066",
       [] {
         return Arguments{ones({1, 2, 8, 8}), ones({4, 3, 3, 3})};
       },
       [](const Arguments& a) { conv2d(a[0], a[1]); },
       kShape,
       {"conv2d: x is [1, 2, 8, 8] with 2 channels, weight [4, 3, 3, 3] with 3"}},
      {"B067",
       [] {
         return Arguments{ones({1, 1, 3, 3}), ones({1, 1, 5, 5})};
       },
       [](const Arguments& a) { conv2d(a[0], a[1]); },
       kShape,
       {"conv2d: x is [1, 1, 3, 3], weight [1, 1, 5, 5]", "fits into the padded input"}},
      {"B068",
       two_by_three,
       [](const Arguments&) { nn::Conv2d(3, 4, 3, {.groups = 2}); },
       kValue,
       {"Conv2d: in_channels is 3, out_channels 4, groups 2"}},
      {"B069",
       [] {
         return Arguments{ones({1, 2, 2})};
       },
       [](const Arguments& a) { max_pool2d(a[0], 3); },
       kShape,
       {"max_pool2d: ", "kernel_size 3", "give a smaller window"}},
      {"B070",
       [] {
         return Arguments{ones({1, 4, 4})};
       },
       [](const Arguments& a) { max_pool2d(a[0], 2, {.padding = 2}); },
       kValue,
       {"max_pool2d: kernel_size is 2, stride 2, padding 2", "half a window"}},
      {"B071",
       two_by_three,
       [](const Arguments& a) { layer_norm(a[0], {4}); },
       kShape,
       {"layer_norm: x is [2, 3], normalized_shape [4]"}},
      {"B072",
       [] {
         return Arguments{ones({1, 3})};
       },
       [](const Arguments& a) { nn::BatchNorm1d(3)(a[0]); },
       kValue,
       {"batch_norm: x is [1, 3], 1 values per channel", "at least two in training"}},
      {"B073",
       [] {
         return Arguments{ones({2, 4})};
       },
       [](const Arguments& a) { nn::BatchNorm1d(3)(a[0]); },
       kShape,
       {"batch_norm: x is [2, 4]", "[3]", "[4]"}},
      {"B074",
       [] {
         return Arguments{ones({2, 3})};
       },
       [](const Arguments& a) { nn::BatchNorm2d(3)(a[0]); },
       kShape,
       {"BatchNorm2d: ", "[2, 3]"}},
      {"B075",
       [] {
         return Arguments{ones({2, 5, 3})};
       },
       [](const Arguments& a) { group_norm(a[0], 2); },
       kValue,
       {"group_norm: x is [2, 5, 3], num_groups 2", "5 channels"}},
      {"B076",
       two_by_three,
       [](const Arguments&) { nn::MultiheadAttention(10, 3); },
       kValue,
       {"MultiheadAttention: embed_dim is 10, num_heads 3"}},
      {"B077",
       two_by_three,
       [](const Arguments& a) { dropout(a[0], 1.5); },
       kValue,
       {"dropout: p is 1.5; give a probability in [0, 1]"}},
      {"V01",
       [] {
         return Arguments{ones({3}), ones({3})};
       },
       [](const Arguments& a) { a[0].masked_fill(a[1], 1.0); },
       kDType,
       {"masked_fill: the mask [3] is float32, it must be bool"}},
      {"V02",
       [] {
         return Arguments{ones({5, 1}), ones({5})};
       },
       [](const Arguments& a) { mse_loss(a[0], a[1]); },
       kShape,
       {"mse_loss: ", "[5, 1]", "[5]"}},
      {"V03",
       [] {
         return Arguments{tensor({1.0, 0.0})};
       },
       [](const Arguments& a) { multinomial(a[0], 2); },
       kValue,
       {"multinomial: 2 samples without replacement", "1 weights above 0"}},
      {"V04",
       two_by_three,
       [](const Arguments& a) { a[0].clamp(2.0, 1.0); },
       kValue,
       {"clamp: min 2 is not at most max 1"}},
  };
}

TEST_CASE("bad calls: losses and layers") { check(testing::bad_layers()); }

std::vector<BadCall> retrace::testing::bad_optimizers() {
  using namespace optim;
  return {
      {"B119",
       two_by_three,
       [](const Arguments&) { SGD(std::vector<Tensor>{}); },
       kValue,
       {"SGD: there are no parameters", "module.parameters()"}},
      {"B120",
       leaf_of_two,
       [](const Arguments& a) { SGD({a[0]}, {.lr = -0.1}); },
       kValue,
       {"SGD: lr is -0.1"}},
      {"B121",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         return Arguments{x, x * 2.0};
       },
       [](const Arguments& a) { SGD({a[1]}); },
       kTape,
       {"SGD: parameter 0 of shape [2] is computed from others, not a leaf"}},
      {"B122",
       leaf_of_two,
       [](const Arguments& a) {
         SGD(std::vector<SGD::Group>{{{a[0]}, SGDOptions{}}, {{a[0]}, SGDOptions{}}});
       },
       kValue,
       {"SGD: a parameter of shape [2] is in group 0 and in group 1"}},
      {"B123",
       leaf_of_two,
       [](const Arguments& a) { SGD({a[0]}, {.nesterov = true}); },
       kValue,
       {"SGD: nesterov with momentum 0"}},
      {"B124",
       leaf_of_two,
       [](const Arguments& a) {
         Adam({a[0]}, {.betas = {1.0, 0.999}});
       },
       kValue,
       {"Adam: betas[0] is 1; give a number in [0, 1)"}},
      {"B125",
       leaf_of_two,
       [](const Arguments& a) { Adam({a[0]}, {.eps = -1}); },
       kValue,
       {"Adam: eps is -1"}},
      {"B126",
       leaf_of_two,
       [](const Arguments& a) { AdamW({a[0]}, {.weight_decay = -1}); },
       kValue,
       {"AdamW: weight_decay is -1"}},
      {"B127",
       [] {
         return Arguments{leaf({1.0}), leaf({2.0})};
       },
       [](const Arguments& a) {
         const SGD two(std::vector<SGD::Group>{{{a[0]}, SGDOptions{}}, {{a[1]}, SGDOptions{}}});
         SGD({a[0], a[1]}).load_state_dict(two.state_dict());
       },
       kValue,
       {"SGD: the state has 2 parameter groups, the optimizer 1"}},
      {"B128",
       [] {
         return Arguments{leaf({1.0}), leaf({2.0})};
       },
       [](const Arguments& a) {
         SGD({a[0], a[1]}).load_state_dict(SGD({a[0]}).state_dict());
       },
       kValue,
       {"SGD: group 0 of the state has 1 parameters, that of the optimizer 2"}},
      {"B129",
       [] {
         return Arguments{leaf({{1.0}}), leaf({2.0})};
       },
       [](const Arguments& a) {
         nn::Linear(a[0], a[1]).load_state_dict({{"weight", ones({1, 1})}});
       },
       kValue,
       {"load_state_dict: ", "Linear", "missing: bias"}},
      {"B130",
       [] {
         return Arguments{leaf({{1.0}}), leaf({2.0})};
       },
       [](const Arguments& a) {
         nn::Linear(a[0], a[1])
             .load_state_dict({{"weight", ones({1, 1})}, {"bias", ones({1})}, {"x", ones({1})}});
       },
       kValue,
       {"load_state_dict: ", "Linear", "unexpected: x"}},
      {"B131",
       [] {
         return Arguments{leaf({{1.0}}), leaf({2.0})};
       },
       [](const Arguments& a) {
         nn::Linear(a[0], a[1]).load_state_dict({{"weight", ones({3, 2})}, {"bias", ones({1})}});
       },
       kValue,
       {"load_state_dict: ", "Linear", "another shape: weight is [3, 2]", "[1, 1]"}},
      {"B132",
       two_by_three,
       [](const Arguments&) { nn::Module().register_parameter("a.b", ones({1})); },
       kValue,
       {"register_parameter: the name \"a.b\" has a dot"}},
      {"B133",
       two_by_three,
       [](const Arguments&) { nn::Module().register_parameter("", ones({1})); },
       kValue,
       {"register_parameter: the name is empty"}},
      {"B134",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         x.set_grad(tensor({1.0, std::numeric_limits<double>::infinity()}));
         return Arguments{x};
       },
       [](const Arguments& a) { nn::utils::clip_grad_norm_({a[0]}, 1.0, 2.0, true); },
       kValue,
       {"clip_grad_norm_: the norm of order 2", "inf", "error_if_nonfinite = false"}},
  };
}

TEST_CASE("bad calls: optimizers and modules") { check(testing::bad_optimizers()); }
