#pragma once

// What stands behind an Optimizer: groups, checks, state, saving and loading are written here once,
// for every rule (see rule.h).

#include <span>

#include <retrace/optim/optimizer.h>
#include <retrace/optim/rule.h>
#include <retrace/optim/state_reader.h>
#include <retrace/tensor/observer.h>

namespace retrace::optim {

/// What an Optimizer does, for all of its copies: one pass over the parameters, the rule of a type
/// of options for each.
class Algorithm {
 public:
  /// What is kept for one parameter.
  struct Kept {
    std::int64_t step = 0;
    std::array<Tensor, kMaxKept> tensors;
  };

  virtual ~Algorithm() = default;
  virtual std::string_view name() const = 0;
  virtual double lr(std::size_t group) const = 0;
  virtual void set_lr(std::size_t group, double lr) = 0;
  virtual StateDict state_dict() const = 0;
  virtual void load_state_dict(const StateDict& state) = 0;

  void step();
  void zero_grad();
  std::size_t groups() const { return group_ends_.size(); }
  const std::vector<Tensor>& parameters() const { return parameters_; }

 protected:
  /// A parameter with a gradient, in this step.
  struct Job {
    std::size_t index, group;
    TensorData* parameter;
    Tensor row_major;  // stands for a parameter that does not lie row-major
    Tensor gradient;   // defined when the leaf's own cannot be read directly
    std::byte* parameter_data;
    const std::byte* gradient_data;
  };

  virtual KeptTensors kept_tensors(std::size_t group) const = 0;
  virtual void check_shape(std::size_t index, const Shape& sizes) const = 0;
  /// ValueError for options that float32 parameters cannot be updated with.
  virtual void check_float32(std::size_t group) const = 0;
  virtual void reserve(const TensorData& parameter) = 0;
  virtual void update(const Job& job, Kept& kept) = 0;

  std::size_t group_begin(std::size_t group) const {
    return group == 0 ? 0 : group_ends_[group - 1];
  }
  /// Appends a group, or throws and changes nothing.
  void add_parameters(const std::vector<Tensor>& parameters);
  void save(StateDict& state) const;
  void check_groups(StateReader& reader) const;
  std::vector<Kept> read_kept(StateReader& reader, std::span<const KeptTensors> of_groups) const;

  std::vector<Kept> kept_;  // as parameters_

 private:
  struct Watched {
    std::size_t index, group;
    Tensor before, gradient;
    std::vector<Update::Kept> kept;
  };
  void prepare(std::size_t index, std::size_t group, const KeptTensors& tensors);
  Watched watch(const Job& job) const;
  void finish(const Job& job);

  std::vector<Tensor> parameters_;
  std::vector<std::size_t> group_ends_;
  std::vector<Job> jobs_;  // of the running step; a member so that its memory is kept
};

void require_parameters(const Algorithm& algorithm);

/// The algorithm whose options are of this type.
template <class Options>
class AlgorithmOf final : public Algorithm {
 public:
  using Rule = RuleFor<Options>;
  using Group = ParameterGroup<Options>;

  explicit AlgorithmOf(const std::vector<Group>& groups) {
    for (const Group& group : groups) add(group);
    require_parameters(*this);
  }

  void add(const Group& group) {
    Rule::check(group.options);
    options_.reserve(options_.size() + 1);
    add_parameters(group.parameters);
    options_.push_back(group.options);
  }

  std::string_view name() const override { return Rule::name; }
  double lr(std::size_t group) const override { return options_[group].lr; }
  void set_lr(std::size_t group, double lr) override { options_[group].lr = lr; }

  StateDict state_dict() const override {
    StateDict state = new_state(Rule::name);
    save(state);
    for (std::size_t g = 0; g < groups(); ++g) {
      Rule::visit(options_[g], [&](std::string_view option, const auto& value) {
        state.insert(option_name(g, option), to_tensor(value));
      });
    }
    return state;
  }

  void load_state_dict(const StateDict& state) override {
    StateReader reader(state, Rule::name);
    check_groups(reader);
    std::vector<Options> options = options_;
    std::vector<KeptTensors> tensors;
    for (std::size_t g = 0; g < groups(); ++g) {
      Rule::visit(options[g], [&](std::string_view option, auto& value) {
        reader.read(option_name(g, option), value);
      });
      tensors.push_back(Rule::kept(options[g]));
    }
    std::vector<Kept> kept = read_kept(reader, tensors);
    reader.finish();
    for (const Options& each : options) Rule::check(each);
    options_.swap(options);
    kept_.swap(kept);
  }

 private:
  static std::string option_name(std::size_t group, std::string_view option) {
    return "groups." + std::to_string(group) + "." + std::string(option);
  }

  KeptTensors kept_tensors(std::size_t group) const override { return Rule::kept(options_[group]); }

  void check_shape(std::size_t index, const Shape& sizes) const override {
    if constexpr (requires { Rule::check_shape(index, sizes); }) Rule::check_shape(index, sizes);
  }

  void check_float32(std::size_t group) const override {
    Rule::visit(options_[group], [](std::string_view option, const auto& value) {
      if constexpr (std::is_same_v<decltype(value), const double&>)
        require_float32(Rule::name, option, value);
      else if constexpr (std::is_convertible_v<decltype(value), std::span<const double>>)
        for (const double each : value) require_float32(Rule::name, option, each);
    });
  }

  void reserve(const TensorData& parameter) override {
    if constexpr (requires { rule_.reserve(parameter.sizes, parameter.dtype); })
      rule_.reserve(parameter.sizes, parameter.dtype);
  }

  void update(const Job& job, Kept& kept) override {
    job.parameter->dtype == kFloat32 ? update_as<float>(job, kept) : update_as<double>(job, kept);
  }

  template <class T>
  void update_as(const Job& job, Kept& kept) {
    Share<T> share{.step = ++kept.step,
                   .sizes = job.parameter->sizes,
                   .n = job.parameter->numel,
                   .parameter = reinterpret_cast<T*>(job.parameter_data),
                   .gradient = reinterpret_cast<const T*>(job.gradient_data),
                   .kept = {},
                   .number = nullptr};
    const Options& options = options_[job.group];
    const KeptTensors tensors = Rule::kept(options);
    for (std::size_t k = 0; k < kMaxKept; ++k) {
      if (!kept.tensors[k].defined()) continue;
      std::byte* const data = kept.tensors[k].get().data;
      if (tensors[k].is_number)
        share.number = reinterpret_cast<double*>(data);
      else
        share.kept[k] = reinterpret_cast<T*>(data);
    }
    rule_.template update<T>(options, share);
  }

  std::vector<Options> options_;
  Rule rule_;
};

template <class Options>
OptimizerFor<Options>::OptimizerFor(const std::vector<Tensor>& parameters, const Options& options)
    : OptimizerFor(std::vector<Group>{{parameters, options}}) {}

template <class Options>
OptimizerFor<Options>::OptimizerFor(const std::vector<Group>& groups)
    : Optimizer(std::make_shared<AlgorithmOf<Options>>(groups)) {}

template <class Options>
void OptimizerFor<Options>::add_param_group(const Group& group) {
  static_cast<AlgorithmOf<Options>&>(algorithm()).add(group);
}

template <class Options>
std::string_view OptimizerFor<Options>::type_name() {
  return RuleFor<Options>::name;
}

}  // namespace retrace::optim
