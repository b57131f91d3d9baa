// What the optimizers compute: single parameters whose steps PyTorch computed in float64.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <functional>

#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>

using namespace retrace;

namespace {

using Parameters = std::vector<Tensor>;
using Make = std::function<optim::Optimizer(const Parameters&)>;

template <class O>
Make with(const typename O::Options& options) {
  return [options](const Parameters& p) { return O(p, options); };
}

struct Trajectory {
  Make make;
  double start;
  std::array<double, 10> gradients;
  std::array<double, 3> after;  // after 1, 2 and 10 steps
};

const std::vector<Trajectory>& trajectories() {
  static const std::vector<Trajectory> all = {
      {with<optim::SGD>({.lr = 0.1}),
       1.2008,
       {0.7782, 0.7065, -1.3229, -2.0969, -0.7245, -1.1095, -1.1291, 0.2512, 0.1998, 0.519},
       {1.12298, 1.05233, 1.59362}},
      {with<optim::SGD>({.lr = 0.05, .momentum = 0.9}),
       -0.3947,
       {-2.0949, 0.0092, -0.7516, -0.3588, 0.3994, 0.1565, -0.1335, 0.1668, 0.5336, -0.8305},
       {-0.289955, -0.1961445, 0.4579043959886552}},
      {with<optim::SGD>({.lr = 0.05, .momentum = 0.9, .nesterov = true}),
       -0.5986,
       {-1.2408, 1.1053, -1.376, -1.1919, -0.4567, 0.5162, -1.3352, 1.4224, -0.2882, -1.2321},
       {-0.480724, -0.5354751, 0.41113043686052914}},
      {with<optim::SGD>({.lr = 0.05, .weight_decay = 0.1}),
       -0.741,
       {-0.5982, 0.2404, 1.6425, 0.2376, 1.3772, -0.6521, -1.0289, 1.1979, 0.6198, -1.7778},
       {-0.707385, -0.715868075, -0.7643141634033396}},
      {with<optim::SGD>({.lr = 0.05, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.01}),
       -0.7496,
       {-1.7644, 1.4214, -0.2481, 0.8381, 1.6702, -0.5375, -0.2414, -2.1989, 0.4751, -1.3395},
       {-0.6610052, -0.6166396287, -0.4190711839750097}},
      {with<optim::SGD>({.lr = 0.1, .maximize = true}),
       -2.0673,
       {0.345, 0.6897, 0.1469, -1.0435, 0.2808, -0.4968, -0.5394, 0.1629, -0.3456, -0.7024},
       {-2.0328, -1.96383, -2.21754}},
      {with<optim::Adam>({.lr = 0.01}),
       -0.9935,
       {0.0998, 0.33, -0.381, 0.2513, -0.831, -0.6445, -0.5597, -1.2779, 0.7471, -0.4185},
       {-1.0034999989979962, -1.0125618342752207, -0.9839272438619245}},
      {with<optim::Adam>({.lr = 0.1, .betas = {0.8, 0.99}, .eps = 1e-06}),
       1.4017,
       {-0.3026, -0.2554, 0.1531, 0.7471, -2.7019, 1.2229, -0.5855, 0.7481, 1.2235, -0.6862},
       {1.5016996695318257, 1.6004486355416665, 1.6600179187882165}},
      {with<optim::Adam>({.lr = 0.01, .weight_decay = 0.1}),
       -1.0175,
       {0.7912, -1.0725, -1.03, 0.4916, -0.4095, -0.8826, -0.1952, -1.2247, 0.3885, 0.5088},
       {-1.027499999854957, -1.0244699622717013, -0.9831733776928726}},
      {with<optim::Adam>({.lr = 0.05, .amsgrad = true}),
       -2.556,
       {0.5002, 0.0963, 0.9146, 0.9512, -0.6555, -0.7357, 0.3777, -0.524, 0.1801, -0.4306},
       {-2.6059999990004, -2.6459355656040433, -2.7824922998874095}},
      {with<optim::AdamW>({.lr = 0.01}),
       -0.6067,
       {-0.4908, -1.3135, 1.1096, 0.7459, -0.5994, -1.1094, 1.5144, -0.1911, 0.8538, 1.9674},
       {-0.596639330203749, -0.587264282170916, -0.5880491397390426}},
      {with<optim::AdamW>({.lr = 0.05, .weight_decay = 0.1}),
       -0.4069,
       {-0.2333, 3.1213, -0.4119, 1.5231, 0.58, 0.5013, 0.4599, -0.6528, 0.0896, -0.2986},
       {-0.3548655021431632, -0.3876986691830343, -0.5564260800254246}},
      {with<optim::AdamW>({.lr = 0.05, .betas = {0.9, 0.95}, .amsgrad = true}),
       0.0845,
       {-0.2281, -1.548, -1.1266, -1.3736, 0.3516, -1.3442, -1.1562, 0.4124, -2.1592, 0.8372},
       {0.13445774780797906, 0.17558917189820203, 0.47664973606182093}},
      {with<optim::RMSprop>({.lr = 0.01}),
       -0.2039,
       {-0.4818, -0.5885, -2.2509, 0.0779, 1.4642, -0.8261, 0.2036, 1.2535, -0.4034, -0.3979},
       {-0.10390002075549594, -0.026367915783762103, 0.019280571183069986}},
      {with<optim::RMSprop>({.lr = 0.01, .alpha = 0.9, .momentum = 0.9}),
       -1.8069,
       {0.3191, -0.9166, -1.2193, 0.1818, 1.7071, 0.3572, 0.2475, -1.0608, 0.9043, 0.8293},
       {-1.8385227734678702, -1.8369557832835135, -1.8496574489283322}},
      {with<optim::RMSprop>({.lr = 0.01, .weight_decay = 0.1, .centered = true}),
       0.3978,
       {-0.9258, -1.4699, 1.0239, 0.0366, 1.9151, -0.0227, 1.8493, 1.4433, -0.9406, -1.118},
       {0.4983037701254912, 0.5840775600578526, 0.407712793619345}},
      {with<optim::Adagrad>({.lr = 0.1}),
       0.0315,
       {0.9235, 1.3162, 0.4219, -0.7734, -1.1393, -2.2284, -1.9819, 1.3856, 0.9951, -0.7897},
       {-0.06849999998917163, -0.15036002990063527, 0.004240018144433005}},
      {with<optim::Adagrad>(
           {.lr = 0.1, .lr_decay = 0.1, .weight_decay = 0.01, .initial_accumulator_value = 0.1}),
       1.8296,
       {0.6596, -0.5489, -0.6339, 0.2905, -0.5154, -1.0213, -0.2561, -1.732, -0.1108, -0.7804},
       {1.7389753498800455, 1.7916317317205397, 1.9576623939810365}},
      {with<optim::Adadelta>({.lr = 1.0}),
       0.9717,
       {1.837, -1.4736, -0.3701, 1.1345, -0.1983, 0.3335, -1.5161, -1.371, -0.1684, 0.8164},
       {0.9685377270252754, 0.9714253001496251, 0.9740605102915223}},
      {with<optim::Adadelta>({.lr = 0.5, .rho = 0.8}),
       -0.3073,
       {-0.206, 1.2781, 0.2843, -0.7876, 0.9414, 1.5686, -0.4329, -0.9061, -0.2341, 0.3999},
       {-0.30618203187132176, -0.30774694410106035, -0.3086321545580385}},
      {with<optim::Adamax>({.lr = 0.01}),
       -0.4313,
       {-1.3651, 0.1954, 1.2153, -0.8304, 2.116, -0.7568, -0.3672, 0.2658, -0.8301, -0.4124},
       {-0.42130000007325474, -0.4173125373593296, -0.41916824503351885}},
      {with<optim::Adamax>({.lr = 0.02, .betas = {0.8, 0.99}, .weight_decay = 0.1}),
       0.177,
       {-1.9328, -0.9778, 0.9038, -0.0621, 0.8189, -0.9458, -1.7774, -0.0795, 0.3267, 0.098},
       {0.1969999998955668, 0.21159357098967657, 0.2391615271430537}},
      {with<optim::NAdam>({.lr = 0.01}),
       0.0041,
       {0.3606, 0.7998, 1.7765, -0.3925, 1.1754, -0.456, -0.3838, 1.2556, -1.711, -0.5176},
       {-0.006464517490583347, -0.016250771552002233, -0.02752850881948129}},
      {with<optim::NAdam>(
           {.lr = 0.02, .betas = {0.8, 0.99}, .weight_decay = 0.05, .momentum_decay = 0.01}),
       0.858,
       {1.5695, 0.2162, 1.1047, -0.5113, -0.2713, -0.2141, -0.5574, 0.3897, 0.2937, -0.2936},
       {0.8360932389850703, 0.8305941207086603, 0.8177867763459373}},
      {with<optim::RAdam>({.lr = 0.01}),
       -1.6696,
       {-1.2618, -0.6185, 0.4292, -0.3787, -1.2001, 0.15, 1.4503, -2.0592, -1.1064, -0.031},
       {-1.656982, -1.6477497894736841, -1.6326185628163408}},
      {with<optim::RAdam>({.lr = 0.02, .betas = {0.8, 0.9}}),
       0.6773,
       {0.596, -1.6041, -0.0497, -1.8886, -0.434, 1.2654, 3.178, -1.0363, 0.8537, 0.1987},
       {0.66538, 0.6779055555555555, 0.7115941387933498}},
      {with<optim::Lion>({.lr = 0.01}),
       -1.3586,
       {0.8746, 0.8576, 1.2618, 0.7568, 0.1992, -0.4193, 1.169, -0.0708, 0.09, -0.566},
       {-1.3686, -1.3786, -1.4186}},
      {with<optim::Lion>({.lr = 0.005, .betas = {0.95, 0.98}, .weight_decay = 0.1}),
       1.1192,
       {-0.7469, 1.0578, -0.3258, 1.7787, -0.464, -1.4566, -1.0255, 1.4995, -0.9839, -0.9117},
       {1.1236404, 1.1180785798000001, 1.1236090892029535}},
  };
  return all;
}

// Every element of `parameter` starts at the trajectory's start and gets its gradients.
void check(const Trajectory& trajectory, const Tensor& parameter, double tolerance) {
  CAPTURE(parameter.sizes().str());
  Tensor p = parameter;
  p.fill_(trajectory.start);
  p.requires_grad_();
  optim::Optimizer optimizer = trajectory.make({p});
  CAPTURE(optimizer.name());
  std::size_t checked = 0;
  for (std::size_t t = 0; t < 10; ++t) {
    p.set_grad(full_like(p, trajectory.gradients[t]));
    optimizer.step();
    if (t == 2 || (t > 2 && t < 9)) continue;
    const double expected = trajectory.after[checked++];
    double worst = 0;
    for (const double value : p.to_vector<double>())
      worst = std::max(worst, std::abs(value - expected));
    CHECK(worst <= tolerance * (1 + std::abs(expected)));
  }
  CHECK(checked == 3);
}

}  // namespace

TEST_CASE("one parameter takes PyTorch's steps") {
  for (const Trajectory& trajectory : trajectories())
    check(trajectory, zeros({1}, kFloat64), 1e-13);
}

TEST_CASE("every element of a vector takes them, in the body and in the tail of the loop") {
  for (const Trajectory& trajectory : trajectories()) {
    for (const std::int64_t n : {7, 64, 101}) check(trajectory, zeros({n}, kFloat64), 1e-13);
  }
}

TEST_CASE("float32 takes them to its own accuracy") {
  for (const Trajectory& trajectory : trajectories()) check(trajectory, zeros({37}), 2e-6);
}

TEST_CASE("parameters that do not lie row-major take them") {
  for (const Trajectory& trajectory : trajectories()) {
    check(trajectory, zeros({3, 5}, kFloat64).t(), 1e-13);
    check(trajectory, zeros({9}, kFloat64).slice(0, 0, 9, 2), 1e-13);
  }
}

TEST_CASE("0-d and empty parameters") {
  for (const Trajectory& trajectory : trajectories()) {
    check(trajectory, zeros({}, kFloat64), 1e-13);
    check(trajectory, zeros({3, 0}, kFloat64), 1e-13);
  }
}

TEST_CASE("the same bits with one and two threads") {
  const int threads = num_threads();
  for (const Trajectory& trajectory : trajectories()) {
    std::vector<Tensor> results;
    for (const int n : {1, 2}) {
      set_num_threads(n);
      Generator generator(7);
      Tensor p = randn({100'003}, kFloat32, &generator).requires_grad_();
      optim::Optimizer optimizer = trajectory.make({p});
      for (int step = 0; step < 3; ++step) {
        p.set_grad(randn({100'003}, kFloat32, &generator));
        optimizer.step();
      }
      results.push_back(p.detach().clone());
    }
    CHECK(results[0].equal(results[1]));
  }
  set_num_threads(threads);
}

TEST_CASE("Adam's bias correction counts each parameter's own steps") {
  Tensor often = zeros({1}, kFloat64).requires_grad_(),
         late = zeros({1}, kFloat64).requires_grad_();
  optim::Adam optimizer({often, late}, {.lr = 0.1});
  for (int step = 0; step < 5; ++step) {
    often.set_grad(full({1}, 2, kFloat64));
    if (step == 4) late.set_grad(full({1}, -3, kFloat64));
    optimizer.step();
  }
  // A first step has the size of the rate, whatever the gradient.
  CHECK(late.item<double>() == doctest::Approx(0.1).epsilon(1e-8));
  CHECK(often.item<double>() == doctest::Approx(-0.5).epsilon(1e-7));
}

TEST_CASE("AdamW shrinks a parameter whose gradient is zero, Adam without decay leaves it") {
  Tensor a = ones({1}, kFloat64).requires_grad_(), b = ones({1}, kFloat64).requires_grad_();
  optim::AdamW adamw({a}, {.lr = 0.5, .weight_decay = 0.5});
  optim::Adam adam({b}, {.lr = 0.5});
  a.set_grad(zeros({1}, kFloat64));
  b.set_grad(zeros({1}, kFloat64));
  adamw.step();
  adam.step();
  CHECK(a.item<double>() == 0.75);
  CHECK(b.item<double>() == 1.0);
}

TEST_CASE("a NaN in a gradient reaches its own element only") {
  for (const Trajectory& trajectory : trajectories()) {
    Tensor p = ones({33}).requires_grad_();
    optim::Optimizer optimizer = trajectory.make({p});
    Tensor g = ones({33});
    g[20] = std::nan("");
    p.set_grad(g);
    optimizer.step();
    int nans = 0;
    for (const double value : p.to_vector<double>()) nans += std::isnan(value);
    CHECK(nans == 1);
    CHECK(std::isnan(p[20].item<double>()));
  }
}
