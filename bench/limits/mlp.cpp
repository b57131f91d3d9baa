// W2 and W3 as an expert writes them for this one model: a single block of parameters, bias and
// ReLU in one pass, softmax and cross-entropy in one pass, Adam in one pass. Its gradient is
// checked against central differences before anything is timed.
#include <cblas.h>
#include <omp.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include <retrace/bench/limits/fused.h>
#include <retrace/bench/limits/workloads.h>

namespace retrace::bench {

namespace {

struct Release {
  void operator()(void* p) const { std::free(p); }
};

// Zeros on a cache line of their own.
std::unique_ptr<float[], Release> floats(int count) {
  const size_t bytes = (static_cast<size_t>(count) * sizeof(float) + 63) / 64 * 64;
  auto* p = static_cast<float*>(std::aligned_alloc(64, bytes));
  std::fill_n(p, bytes / sizeof(float), 0.F);
  return std::unique_ptr<float[], Release>(p);
}
using Floats = std::unique_ptr<float[], Release>;

// Layer l maps [batch, width[l]] to [batch, width[l + 1]]; its weight is [out, in].
class Mlp {
 public:
  Mlp(std::vector<int> widths, int batch, int threads) : width_(std::move(widths)), batch_(batch) {
    for (size_t l = 0; l + 1 < width_.size(); ++l) {
      weight_.push_back(size_);
      bias_.push_back(size_ + width_[l] * width_[l + 1]);
      size_ = bias_.back() + (width_[l + 1] + 15) / 16 * 16;
    }
    parameters_ = floats(size_), gradient_ = floats(size_), m_ = floats(size_), v_ = floats(size_);
    for (const int w : width_) {
      activation_.push_back(floats(batch * w));
      delta_.push_back(floats(batch * w));
    }
    labels_.resize(static_cast<size_t>(batch));
    // Below this a second thread costs more than it saves.
    constexpr double kWorthAThread = 1e7;
    threads_ = flops() < kWorthAThread ? 1 : threads;

    std::mt19937_64 random(0);
    std::normal_distribution<float> normal;
    for (int i = 0; i < batch * width_[0]; ++i) activation_[0][i] = normal(random);
    for (int& label : labels_) label = static_cast<int>(random() % 10);
    for (size_t l = 0; l + 1 < width_.size(); ++l) {
      const float bound = 1.F / std::sqrt(static_cast<float>(width_[l]));
      std::uniform_real_distribution<float> uniform(-bound, bound);
      for (int i = weight_[l]; i < bias_[l] + width_[l + 1]; ++i) parameters_[i] = uniform(random);
    }
    check_gradient();
  }

  void train_step() {
    ++step_;
    in_parallel([&](int t) {
      forward_backward(t);
      const Part p = part_of(size_ / 16, t, threads_);
      adam(parameters_.get() + 16 * p.begin, gradient_.get() + 16 * p.begin,
           m_.get() + 16 * p.begin, v_.get() + 16 * p.begin, 16 * p.size(), 1e-6F, step_);
    });
  }

  void products_only() {
    in_parallel([&](int t) {
      for (size_t l = 0; l < layers(); ++l) forward_product(l, t);
      barrier();
      for (size_t l = layers(); l-- > 0;) {
        weight_product(l, t);
        if (l > 0) input_product(l, t);
        barrier();
      }
    });
  }

 private:
  size_t layers() const { return weight_.size(); }
  double flops() const {
    double total = 0;
    for (size_t l = 0; l < layers(); ++l) {
      total += 2.0 * (l == 0 ? 2 : 3) * batch_ * width_[l] * width_[l + 1];
    }
    return total;
  }

  template <class Body>
  void in_parallel(Body body) {
    if (threads_ == 1) return body(0);
#pragma omp parallel num_threads(threads_)
    body(omp_get_thread_num());
  }
  void barrier() const {
    if (threads_ == 1) return;
#pragma omp barrier
  }

  // Rows of the batch are independent in forward_product and input_product, units of the layer in
  // weight_product: that is how each is split.
  void forward_product(size_t l, int t) {
    const int in = width_[l], out = width_[l + 1];
    const Part rows = part_of(batch_, t, threads_);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows.size(), out, in, 1.F,
                &activation_[l][rows.begin * in], in, &parameters_[weight_[l]], in, 0.F,
                &activation_[l + 1][rows.begin * out], out);
  }
  void weight_product(size_t l, int t) {
    const int in = width_[l], out = width_[l + 1];
    const Part units = part_of(out, t, threads_);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, units.size(), in, batch_, 1.F,
                &delta_[l + 1][units.begin], out, activation_[l].get(), in, 0.F,
                &gradient_[weight_[l] + units.begin * in], in);
  }
  void input_product(size_t l, int t) {
    const int in = width_[l], out = width_[l + 1];
    const Part rows = part_of(batch_, t, threads_);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows.size(), in, out, 1.F,
                &delta_[l + 1][rows.begin * out], out, &parameters_[weight_[l]], in, 0.F,
                &delta_[l][rows.begin * in], in);
  }

  void forward_backward(int t) {
    const Part rows = part_of(batch_, t, threads_);
    for (size_t l = 0; l < layers(); ++l) {
      const int out = width_[l + 1];
      forward_product(l, t);
      float* y = &activation_[l + 1][rows.begin * out];
      if (l + 1 < layers()) {
        add_bias_relu(y, &parameters_[bias_[l]], rows.size(), out);
      } else {
        softmax_cross_entropy(y, &parameters_[bias_[l]], labels_.data() + rows.begin,
                              &delta_[l + 1][rows.begin * out], rows.size(), out, batch_);
      }
    }
    for (size_t l = layers(); l-- > 0;) {
      const int in = width_[l], out = width_[l + 1];
      barrier();  // delta_[l + 1] is whole
      weight_product(l, t);
      const Part units = part_of(out, t, threads_);
      sum_rows(&delta_[l + 1][units.begin], &gradient_[bias_[l] + units.begin], batch_,
               units.size(), out);
      if (l == 0) break;
      input_product(l, t);
      relu_backward(&delta_[l][rows.begin * in], &activation_[l][rows.begin * in],
                    rows.size() * in);
    }
    barrier();  // gradient_ is whole
  }

  // The loss in float64.
  double loss(const std::vector<double>& parameters) const {
    std::vector<double> x(activation_[0].get(), activation_[0].get() + batch_ * width_[0]), y;
    for (size_t l = 0; l < layers(); ++l) {
      const int in = width_[l], out = width_[l + 1];
      y.assign(static_cast<size_t>(batch_ * out), 0.0);
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch_, out, in, 1.0, x.data(), in,
                  &parameters[static_cast<size_t>(weight_[l])], in, 0.0, y.data(), out);
      for (size_t i = 0; i < y.size(); ++i) {
        y[i] += parameters[static_cast<size_t>(bias_[l]) + i % static_cast<size_t>(out)];
        if (l + 1 < layers() && y[i] < 0) y[i] = 0;
      }
      x.swap(y);
    }
    double total = 0;
    const size_t classes = static_cast<size_t>(width_.back());
    for (size_t row = 0; row < labels_.size(); ++row) {
      double sum = 0;
      for (size_t c = 0; c < classes; ++c) sum += std::exp(x[row * classes + c]);
      total += std::log(sum) - x[row * classes + static_cast<size_t>(labels_[row])];
    }
    return total / batch_;
  }

  // Along the gradient itself, and for single parameters of every layer.
  void check_gradient() {
    in_parallel([&](int t) { forward_backward(t); });
    std::vector<double> at(parameters_.get(), parameters_.get() + size_);
    double largest = 0, squares = 0;
    for (int i = 0; i < size_; ++i) {
      const double g = gradient_[i];
      largest = std::max(largest, std::abs(g));
      squares += g * g;
    }
    const auto expect = [](double wanted, double got, double scale) {
      if (!(std::abs(wanted - got) <= 1e-3 * scale)) {
        throw std::runtime_error("mlp by hand: gradient " + number(got) + ", central difference " +
                                 number(wanted));
      }
    };
    constexpr double kStep = 1e-4;
    const auto slope = [&](auto direction) {
      std::vector<double> up = at, down = at;
      for (size_t i = 0; i < at.size(); ++i) {
        up[i] += kStep * direction(i);
        down[i] -= kStep * direction(i);
      }
      return (loss(up) - loss(down)) / (2 * kStep);
    };
    expect(slope([&](size_t i) { return gradient_[i] / std::sqrt(squares); }), std::sqrt(squares),
           std::sqrt(squares));
    for (size_t l = 0; l < layers(); ++l) {
      for (const int i : {weight_[l] + 7, weight_[l] + 3 * width_[l] + 5, bias_[l] + 1}) {
        expect(slope([&](size_t j) { return static_cast<int>(j) == i ? 1.0 : 0.0; }), gradient_[i],
               largest);
      }
    }
  }

  std::vector<int> width_;
  int batch_ = 0, threads_ = 1, size_ = 0, step_ = 0;
  std::vector<int> weight_, bias_;  // where they begin in the block
  Floats parameters_, gradient_, m_, v_;
  std::vector<Floats> activation_, delta_;  // delta: gradient of the loss before the activation
  std::vector<int> labels_;
};

}  // namespace

void mlp_small(const Run& run) {
  Mlp mlp({64, 128, 10}, 32, run.threads);
  report_time(run, "mlp_small", "ms/step", 1e3, [&] { mlp.train_step(); });
}
void mlp_mnist(const Run& run) {
  Mlp mlp({784, 512, 512, 10}, 128, run.threads);
  report_time(run, "mlp_mnist", "ms/step", 1e3, [&] { mlp.train_step(); });
}
void mlp_small_gemms(const Run& run) {
  Mlp mlp({64, 128, 10}, 32, run.threads);
  report_time(run, "mlp_small_gemms", "ms/step", 1e3, [&] { mlp.products_only(); });
}
void mlp_mnist_gemms(const Run& run) {
  Mlp mlp({784, 512, 512, 10}, 128, run.threads);
  report_time(run, "mlp_mnist_gemms", "ms/step", 1e3, [&] { mlp.products_only(); });
}

}  // namespace retrace::bench
