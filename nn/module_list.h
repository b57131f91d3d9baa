#pragma once

#include <concepts>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <retrace/nn/module.h>
#include <retrace/nn/module_state.h>

namespace retrace::nn {

/// Modules of one type in a row, called by the module that holds the list:
/// `for (auto& block : blocks) x = block(x);`. Their names are "0", "1", ... To hold modules of
/// several types use ModuleList<Module> for their parameters, or Sequential to call them in order.
template <std::derived_from<Module> M>
class ModuleList : public Module {
 public:
  ModuleList() : Module(std::make_shared<Modules>()) {}
  ModuleList(std::initializer_list<M> list) : ModuleList() {
    for (const M& module : list) push_back(module);
  }

  /// Adds a module at the end, for all handles to this list.
  void push_back(M module) {
    std::vector<M>& list = modules();
    list.reserve(list.size() + 1);  // so that nothing can fail once the module is registered
    register_module(std::to_string(list.size()), module);
    list.push_back(std::move(module));
  }
  std::size_t size() const { return modules().size(); }
  bool empty() const { return size() == 0; }
  M& operator[](std::size_t i) const { return modules()[i]; }
  auto begin() const { return modules().begin(); }
  auto end() const { return modules().end(); }

 private:
  struct Modules final : ModuleState {
    std::vector<M> list;
    std::shared_ptr<ModuleState> make_twin() const override { return std::make_shared<Modules>(); }
    void copy_into(ModuleState& twin) const override {
      static_cast<Modules&>(twin).list = std::vector<M>(list);
    }
  };
  std::vector<M>& modules() const { return static_cast<Modules&>(this->state()).list; }
};

}  // namespace retrace::nn
