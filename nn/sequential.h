#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

/// Something that a Sequential can call: m(x) or m.forward(x) gives a Tensor.
template <class M>
concept Callable = requires(M& m, const Tensor& x) {
  { m(x) } -> std::convertible_to<Tensor>;
}
|| requires(M& m, const Tensor& x) {
  { m.forward(x) } -> std::convertible_to<Tensor>;
};

/// Modules called one after the other: `Sequential net{Linear(4, 16), ReLU(), Linear(16, 2)}`.
/// Their names are "0", "1", ... Functions of one's own may stand among them:
/// `[](const Tensor& x) { return x.flatten(1); }`. An empty Sequential returns its input.
///
/// `Sequential b{a}` is a, as for every module: to put a Sequential alone into another, push_back
/// it.
class Sequential : public Module {
 public:
  Sequential();
  template <Callable... Ms>
  requires(sizeof...(Ms) > 1 || (... && !std::derived_from<Ms, Sequential>))
      Sequential(Ms... modules)
      : Sequential() {
    (push_back(std::move(modules)), ...);
  }

  /// Adds a module at the end, for all handles to this Sequential.
  template <Callable M>
  void push_back(M module);
  std::size_t size() const;
  bool empty() const { return size() == 0; }

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  struct Layer {
    virtual ~Layer() = default;
    virtual Tensor call(const Tensor& x) = 0;
    virtual std::unique_ptr<Layer> copy() const = 0;
  };
  template <class M>
  struct LayerOf;
  struct Layers;

  Layers& layers() const;
  /// `module` is null for a function.
  void append(const Module* module, std::unique_ptr<Layer> layer);
};

/// A layer with its type.
template <class M>
struct Sequential::LayerOf final : Layer {
  explicit LayerOf(M m) : module(std::move(m)) {}
  LayerOf(const LayerOf&) = default;
  Tensor call(const Tensor& x) override {
    if constexpr (requires { module(x); }) {
      return module(x);
    } else {
      return module.forward(x);
    }
  }
  std::unique_ptr<Layer> copy() const override { return std::make_unique<LayerOf>(*this); }
  M module;
};

template <Callable M>
void Sequential::push_back(M module) {
  auto layer = std::make_unique<LayerOf<M>>(std::move(module));
  if constexpr (std::derived_from<M, Module>) {
    const Module* const registered = &layer->module;
    append(registered, std::move(layer));
  } else {
    append(nullptr, std::move(layer));
  }
}

}  // namespace retrace::nn
