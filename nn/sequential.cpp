#include <retrace/nn/sequential.h>

#include <retrace/nn/module_state.h>

namespace retrace::nn {

struct Sequential::Layers final : ModuleState {
  std::vector<std::unique_ptr<Layer>> list;

  std::shared_ptr<ModuleState> make_twin() const override { return std::make_shared<Layers>(); }
  void copy_into(ModuleState& twin) const override {
    for (const auto& layer : list) static_cast<Layers&>(twin).list.push_back(layer->copy());
  }
};

Sequential::Sequential() : Module(std::make_shared<Layers>()) {}

Sequential::Layers& Sequential::layers() const { return static_cast<Layers&>(state()); }

std::size_t Sequential::size() const { return layers().list.size(); }

namespace {

class Function : public Module {};

}  // namespace

void Sequential::append(const Module* module, std::unique_ptr<Layer> layer) {
  std::vector<std::unique_ptr<Layer>>& list = layers().list;
  list.reserve(list.size() + 1);  // so that nothing can fail once the module is registered
  const std::string name = std::to_string(list.size());
  module != nullptr ? register_module(name, *module) : register_module(name, Function());
  list.push_back(std::move(layer));
}

Tensor Sequential::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  Tensor y = x;
  for (const auto& layer : layers().list) y = layer->call(y);
  return y;
}

}  // namespace retrace::nn
