// What gdb looks at: a pass from matmul #1 on, then tensors and a step, for those who stop in
// look().
#include <cmath>
#include <cstring>
#include <limits>

#include <retrace/retrace.h>

using namespace retrace;

namespace {

[[gnu::noinline]] void look(const Step& step) { asm volatile("" ::"r"(&step) : "memory"); }

void show() {
  const Tensor rows = tensor({{1.f, 2.f, 3.f}, {4.f, 5.f, 0.1f}});
  const Tensor turned = rows.t(), column = rows.select(1, 2), odd = rows.slice(1, 0, 3, 2);
  const Tensor repeated = tensor({1.5, -2.5}, kFloat64).expand({2, 2});
  const Tensor non_finite = tensor({std::nan(""), HUGE_VAL, -HUGE_VAL, -0.0, 1e-300}, kFloat64);
  const Tensor whole = tensor({1, -2, 3}), truth = tensor({1.f, -1.f}) > 0.0;
  const Tensor large = arange(0, 600).reshape({2, 10, 30}), none = zeros({0, 3}), undefined;
  const Tensor w = tensor({0.5f}).requires_grad_(), y = w * rows;
  [[maybe_unused]] const Shape shape = {2, 3};
  std::vector<Tensor> two = {rows, w};
  Backprop pass(y.sum());
  pass.step();
  const Step step = pass.step();
  Tensor broken;
  const std::uintptr_t nowhere = 16;
  std::memcpy(static_cast<void*>(&broken), &nowhere, sizeof nowhere);
  look(step);
  std::memset(static_cast<void*>(&broken), 0, sizeof broken);
}

}  // namespace

int main() {
  const Tensor w = tensor({{1.f, 2.f}, {3.f, 4.f}}).requires_grad_();
  tanh(w.matmul(w)).sum().backward();
  show();
}
