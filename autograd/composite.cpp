#include <retrace/autograd/composite.h>

namespace retrace {

void retrace_inner(const Tensor& inner, std::span<const Tensor> inputs, const Tensor& upstream,
                   bool create_graph, Gradients& gradients) {
  std::vector<Tensor> wanted;
  std::vector<std::size_t> positions;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!gradients.wants(k)) continue;
    wanted.push_back(inputs[k]);
    positions.push_back(k);
  }
  const ObserverScope nobody;  // whoever watches sees one op
  // Where no gradient can flow, as past a threshold, the inner tape may be empty.
  std::vector<Tensor> found(wanted.size());
  if (inner.requires_grad())
    found = grad({inner}, wanted, {upstream}, /*retain_graph=*/true, create_graph,
                 /*allow_unused=*/true);
  for (std::size_t i = 0; i < wanted.size(); ++i) gradients.give(positions[i], found[i]);
}

}  // namespace retrace
