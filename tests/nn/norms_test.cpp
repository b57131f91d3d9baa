#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

TEST_CASE("BatchNorm tracks the batches in training and uses them in evaluation") {
  nn::BatchNorm1d norm(2);
  const Tensor x = tensor({{1.0, 10.0}, {3.0, 30.0}});
  const Tensor y = norm(x);
  CHECK(std::abs(y[1][0].item<double>() - 1) < 1e-4);
  CHECK(std::abs(y[0][1].item<double>() + 1) < 1e-4);
  CHECK(norm.running_mean.equal(tensor({0.2, 2.0})));
  CHECK(norm.running_var[0].item<float>() == doctest::Approx(0.9 + 0.1 * 2));
  CHECK(norm.num_batches_tracked.item<std::int64_t>() == 1);
  norm.eval();
  const Tensor z = norm(x);
  CHECK(z[0][0].item<float>() == doctest::Approx(0.8 / std::sqrt(1.1 + 1e-5)));
  CHECK(norm.num_batches_tracked.item<std::int64_t>() == 1);
  CHECK(norm(tensor({{1.0, 2.0}})).sizes() == Shape({1, 2}));  // one sample
  norm.train();
  CHECK(says(message_of<ValueError>([&] { norm(tensor({{1.0, 2.0}})); }), "no variance"));
  CHECK(norm.num_batches_tracked.item<std::int64_t>() == 1);
}

TEST_CASE("BatchNorm without momentum averages all batches") {
  nn::BatchNorm1d norm(1, {.momentum = std::nullopt});
  norm(tensor({{1.0}, {3.0}}));
  CHECK(norm.running_mean.item<float>() == 2);
  norm(tensor({{4.0}, {6.0}}));
  norm(tensor({{0.0}, {4.0}}));
  CHECK(norm.running_mean.item<float>() == doctest::Approx((2 + 5 + 2) / 3.0));
  CHECK(norm.running_var.item<float>() == doctest::Approx((2 + 2 + 8) / 3.0));
}

TEST_CASE("state, clone and dtype of BatchNorm include its buffers") {
  nn::Sequential net{nn::Conv2d(1, 4, 3, {.bias = false}), nn::BatchNorm2d(4), nn::ReLU()};
  net(randn({3, 1, 6, 6}));
  StateDict state = net.state_dict();
  CHECK(state.contains("1.running_mean"));
  CHECK(state.contains("1.running_var"));
  CHECK(state["1.num_batches_tracked"].dtype() == kInt64);
  CHECK(state["1.num_batches_tracked"].item<std::int64_t>() == 1);
  CHECK(net.parameters().size() == 3);
  const nn::Sequential copy = nn::clone(net);
  net(randn({3, 1, 6, 6}));
  CHECK(copy.state_dict()["1.num_batches_tracked"].item<std::int64_t>() == 1);
  net.to(kFloat64);
  CHECK(net.state_dict()["1.running_mean"].dtype() == kFloat64);
  CHECK(net.state_dict()["1.num_batches_tracked"].dtype() == kInt64);
  CHECK(net(randn({3, 1, 6, 6}, kFloat64)).dtype() == kFloat64);
  CHECK(says(net.summary(),
             "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=true, "
             "track_running_stats=true)"));
}

TEST_CASE("BatchNorm without tracking uses the batch always") {
  nn::BatchNorm2d norm(3, {.affine = false, .track_running_stats = false});
  CHECK(norm.parameters().empty());
  CHECK(norm.buffers().empty());
  const Tensor x = randn({2, 3, 4, 4});
  const Tensor in_training = norm(x);
  norm.eval();
  CHECK(norm(x).equal(in_training));
}

TEST_CASE("other norms") {
  const Tensor x = randn({2, 6, 5});
  nn::GroupNorm groups(3, 6);
  CHECK(groups(x).equal(group_norm(x, 3, groups.weight, groups.bias)));
  CHECK(nn::GroupNorm(3, 6, {.affine = false}).parameters().empty());
  CHECK(nn::GroupNorm(3, 6, {.eps = 0})(x).equal(group_norm(x, 3, {}, {}, 0)));
  CHECK(nn::InstanceNorm1d(6)(x).equal(instance_norm(x)));
  CHECK(nn::InstanceNorm1d(6).parameters().empty());
  CHECK(nn::InstanceNorm2d(6, {.affine = true}).parameters().size() == 2);
  nn::RMSNorm rms(5);
  CHECK(rms(x).equal(rms_norm(x, {5})));
  CHECK(rms.parameters().size() == 1);
  CHECK(nn::RMSNorm(5, {.eps = 0})(x).equal(rms_norm(x, {5}, {}, 0)));
  CHECK(nn::Sequential{nn::RMSNorm({6, 5}), nn::InstanceNorm1d(6)}(x).sizes() == x.sizes());
}

TEST_CASE("bad norms") {
  for (const double eps : {-1.0, HUGE_VAL, std::nan("")}) {
    const auto refused = [](auto make, std::string_view type) {
      return says(message_of<ValueError>(make), std::string(type) + ": eps is ");
    };
    CHECK(refused([=] { nn::BatchNorm1d(4, {.eps = eps}); }, "BatchNorm"));
    CHECK(refused([=] { nn::GroupNorm(2, 4, {.eps = eps}); }, "GroupNorm"));
    CHECK(refused([=] { nn::InstanceNorm1d(4, {.eps = eps}); }, "InstanceNorm"));
    CHECK(refused([=] { nn::LayerNorm(4, {.eps = eps}); }, "LayerNorm"));
    CHECK(refused([=] { nn::RMSNorm(4, {.eps = eps}); }, "RMSNorm"));
    const Tensor x = randn({2, 4, 3});
    CHECK(refused([=] { batch_norm(x, {}, {}, {}, {}, true, 0.1, eps); }, "batch_norm"));
    CHECK(refused([=] { group_norm(x, 2, {}, {}, eps); }, "group_norm"));
    CHECK(refused([=] { instance_norm(x, {}, {}, eps); }, "instance_norm"));
    CHECK(refused([=] { layer_norm(x, {3}, {}, {}, eps); }, "layer_norm"));
    CHECK(refused([=] { rms_norm(x, {3}, {}, eps); }, "rms_norm"));
  }
  CHECK(says(message_of<ValueError>([] { nn::Norm(4, {.eps = HUGE_VAL}); }), "eps is inf"));
  CHECK(says(message_of<ValueError>([] { nn::GroupNorm(4, 6); }), "num_groups is 4"));
  CHECK(says(message_of<ValueError>([] { nn::BatchNorm1d(-1); }), "num_features is -1"));
  for (const double momentum : {-1.0, 1.5, std::nan("")})
    CHECK(says(message_of<ValueError>([&] { nn::BatchNorm1d(2, {.momentum = momentum}); }),
               "BatchNorm: momentum is "));
  CHECK(says(message_of<ShapeError>([] {
               nn::BatchNorm1d(3)(zeros({2, 3, 4, 4}));
             }),
             "BatchNorm1d"));
  CHECK(says(message_of<ShapeError>([] { nn::BatchNorm2d(3)(zeros({2, 3})); }), "[N, C, H, W]"));
  CHECK(says(message_of<ShapeError>([] {
               nn::BatchNorm2d(3)(zeros({2, 4, 2, 2}));
             }),
             "weight [3]"));
  CHECK(says(message_of<ShapeError>([] {
               nn::InstanceNorm1d(3)(zeros({2, 4, 4}));
             }),
             "InstanceNorm1d: x is [2, 4, 4]; give [N, 3, L]"));
  CHECK(says(message_of<ValueError>([] { nn::RMSNorm(Shape{}); }), "normalized_shape is empty"));
  CHECK(says(message_of<ValueError>([] { nn::RMSNorm(5, {.eps = -0.5}); }), "eps is -0.5"));
  CHECK(!message_of<DTypeError>([] { nn::BatchNorm1d(3, {.dtype = kInt64}); }).empty());
}
