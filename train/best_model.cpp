#include <retrace/autograd/grad_mode.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/best_model.h>

#include <cmath>
#include <limits>

namespace retrace::train {

BestModel::BestModel(const nn::Module& model) {
  state_.insert("loss", full({}, std::numeric_limits<double>::infinity(), kFloat64));
  state_.insert("waited", zeros({}, kInt64));
  for (const auto& [name, tensor] : model.state_dict())
    state_.insert("model." + name, tensor.clone());
}

void BestModel::load_state_dict(const StateDict& state) {
  for (const auto& [name, tensor] : state_) {
    require<ValueError>(state.contains(name), "the best model so far: {} is missing", name);
    require<ShapeError>(
        state.at(name).sizes() == tensor.sizes() && state.at(name).dtype() == tensor.dtype(),
        "the best model so far: {} is {} {}, not {} {}", name, state.at(name).dtype(),
        state.at(name).sizes(), tensor.dtype(), tensor.sizes());
  }
  for (auto& [name, tensor] : state_) tensor.copy_(state.at(name));
}

void BestModel::watch(const nn::Module& model, double loss) {
  if (!(loss < state_["loss"].item<double>())) {
    state_["waited"].add_(1);
    return;
  }
  state_["loss"].fill_(loss);
  state_["waited"].fill_(0);
  for (const auto& [name, tensor] : model.state_dict()) state_["model." + name].copy_(tensor);
}

std::int64_t BestModel::waited() const { return state_.at("waited").item<std::int64_t>(); }

bool BestModel::has_any() const { return std::isfinite(state_.at("loss").item<double>()); }

void BestModel::give_to(nn::Module& model) const {
  const NoGradGuard no_grad;
  for (const auto& [name, tensor] : model.state_dict()) {
    Tensor to = tensor;
    to.copy_(state_.at("model." + name));
  }
}

}  // namespace retrace::train
