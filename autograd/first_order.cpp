#include <retrace/autograd/first_order.h>
#include <retrace/autograd/grad_mode.h>
#include <retrace/tensor/check.h>

namespace retrace {

void require_first_order(std::string_view op) {
  require<AutogradError>(
      !GradMode::is_enabled(),
      "{}: second derivatives are not available, nor is jvp; go back without create_graph here",
      op);
}

}  // namespace retrace
