#pragma once

// For those who write an optimizer. It is a rule: a struct with
//
//   using Options = ...;                             aggregate with a member `double lr`
//   static constexpr std::string_view name = "Adam";
//   static void check(const Options&);               ValueError for what is out of range
//   static KeptNames kept(const Options&);           tensors kept for a parameter, "" for none
//   static void visit(auto& options, auto&& f);      f("lr", options.lr), ... for all options
//   template <class T> void update(const Options&, const Share<T>&);
//
// and `AlgorithmOf<Rule>` makes an Algorithm of it: groups, checks, state, saving and loading.

#include <array>
#include <span>

#include <retrace/optim/optimizer.h>
#include <retrace/optim/state_reader.h>

namespace retrace::optim {

inline constexpr std::size_t kMaxKept = 3;
using KeptNames = std::array<std::string_view, kMaxKept>;

/// Elements of a parameter below which a second thread costs more than it saves.
inline constexpr std::int64_t kUpdateGrain = 32768;

/// One parameter's share of a step. All tensors have `sizes` and dtype T and lie row-major.
template <class T>
struct Share {
  std::int64_t step;  ///< 1 in the parameter's first step
  const Shape& sizes;
  std::int64_t n;
  T* parameter;
  const T* gradient;
  std::array<T*, kMaxKept> kept;  ///< zeros before the first step; null where there is no name
};

/// What stands behind an Optimizer.
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
  struct Job {
    std::size_t index, group;
    TensorData* parameter;
    Tensor row_major;  // stands for a parameter that does not lie row-major
    Tensor gradient;   // defined when the leaf's own cannot be read directly
    std::byte* parameter_data;
    const std::byte* gradient_data;
  };

  explicit Algorithm(std::span<const std::vector<Tensor>> groups, std::string_view name);
  virtual KeptNames kept_names(std::size_t group) const = 0;
  virtual void update(const Job& job, Kept& kept) = 0;

  std::size_t group_begin(std::size_t group) const {
    return group == 0 ? 0 : group_ends_[group - 1];
  }
  void save(StateDict& state) const;
  void check_groups(StateReader& reader) const;
  std::vector<Kept> read_kept(StateReader& reader, std::span<const KeptNames> names) const;

  std::vector<Kept> kept_;  // as parameters_

 private:
  void prepare(std::size_t index, std::size_t group, const KeptNames& names);

  std::vector<Tensor> parameters_;
  std::vector<std::size_t> group_ends_;
  std::vector<Job> jobs_;  // of the running step; a member so that its memory is kept
};

template <class Rule>
class AlgorithmOf final : public Algorithm {
 public:
  using Options = typename Rule::Options;
  using Group = ParameterGroup<Options>;

  /// Checks all options and parameters.
  static std::shared_ptr<Algorithm> make(const std::vector<Group>& groups) {
    std::vector<std::vector<Tensor>> parameters;
    std::vector<Options> options;
    for (const Group& group : groups) {
      Rule::check(group.options);
      parameters.push_back(group.parameters);
      options.push_back(group.options);
    }
    return std::shared_ptr<Algorithm>(new AlgorithmOf(parameters, std::move(options)));
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
    std::vector<KeptNames> names;
    for (std::size_t g = 0; g < groups(); ++g) {
      Rule::visit(options[g], [&](std::string_view option, auto& value) {
        reader.read(option_name(g, option), value);
      });
      names.push_back(Rule::kept(options[g]));
    }
    std::vector<Kept> kept = read_kept(reader, names);
    reader.finish();
    for (const Options& each : options) Rule::check(each);
    options_.swap(options);
    kept_.swap(kept);
  }

 private:
  AlgorithmOf(std::span<const std::vector<Tensor>> groups, std::vector<Options> options)
      : Algorithm(groups, Rule::name), options_(std::move(options)) {}

  static std::string option_name(std::size_t group, std::string_view option) {
    return "groups." + std::to_string(group) + "." + std::string(option);
  }

  KeptNames kept_names(std::size_t group) const override { return Rule::kept(options_[group]); }

  void update(const Job& job, Kept& kept) override {
    const auto run = [&]<class T>() {
      Share<T> share{.step = ++kept.step,
                     .sizes = job.parameter->sizes,
                     .n = job.parameter->numel,
                     .parameter = reinterpret_cast<T*>(job.parameter_data),
                     .gradient = reinterpret_cast<const T*>(job.gradient_data),
                     .kept = {}};
      for (std::size_t k = 0; k < kMaxKept; ++k) {
        if (kept.tensors[k].defined())
          share.kept[k] = reinterpret_cast<T*>(kept.tensors[k].get().data);
      }
      rule_.template update<T>(options_[job.group], share);
    };
    job.parameter->dtype == kFloat32 ? run.template operator()<float>()
                                     : run.template operator()<double>();
  }

  std::vector<Options> options_;
  Rule rule_;
};

/// ValueErrors in the name of an optimizer or schedule, for options.
void require_at_least_zero(std::string_view name, std::string_view option, double value);
void require_positive(std::string_view name, std::string_view option, double value);
void require_finite(std::string_view name, std::string_view option, double value);
/// In [0, 1).
void require_decay_rate(std::string_view name, std::string_view option, double value);

}  // namespace retrace::optim
