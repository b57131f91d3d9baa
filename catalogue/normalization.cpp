#include <retrace/autograd/ops/normalization.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {
namespace {

// "x", and of the shape `over` "weight" and "bias" as far as wanted.
Sample normalized(const Shape& x, const Shape& over, std::vector<std::string> parameters,
                  Arguments arguments = {}) {
  Sample sample{{{"x", x}}, std::move(arguments)};
  for (const std::string& name : parameters) sample.inputs.push_back({name, over});
  return sample;
}

Sample over_last_dims(const Shape& x, const Shape& over, std::vector<std::string> parameters) {
  std::vector<double> sizes(over.begin(), over.end());
  return normalized(x, over, std::move(parameters), {{"normalized_shape", std::move(sizes)}});
}

// In training nothing is tracked: running values depend on x, but have no gradient.
Sample of_batch(const Shape& x, bool training, bool affine) {
  const Shape channels = {x[1]};
  Sample sample = {{{"x", x}}, {{"training", training}}};
  if (!training)
    sample.inputs.insert(sample.inputs.end(), {{"running_mean", channels, {}, false},
                                               {"running_var", channels, positive(), false}});
  if (affine) sample.inputs.insert(sample.inputs.end(), {{"weight", channels}, {"bias", channels}});
  return sample;
}

}  // namespace

void add_normalization(std::vector<Row>& rows) {
  const std::vector<std::string> none, weight = {"weight"}, affine = {"weight", "bias"};
  rows.insert(
      rows.end(),
      {
          {.name = "layer_norm",
           .family = "normalization",
           .question = "What is each sample relative to its own mean and spread?",
           .run = [](const Call& c) -> Results {
             return layer_norm(c["x"], c.list("normalized_shape"), c.optional("weight"),
                               c.optional("bias"), c.number("eps", 1e-5));
           },
           .samples = {over_last_dims({3, 4}, {4}, affine), over_last_dims({2, 3, 4}, {4}, none),
                       over_last_dims({2, 3, 4}, {3, 4}, affine), over_last_dims({4}, {4}, affine),
                       over_last_dims({0, 4}, {4}, affine)}},
          {.name = "rms_norm",
           .family = "normalization",
           .question = "What is each sample relative to its own size?",
           .run = [](const Call& c) -> Results {
             const Shape over =
                 c.has("normalized_shape") ? c.list("normalized_shape") : c["weight"].sizes();
             return rms_norm(c["x"], over, c.optional("weight"), c.maybe_number("eps"));
           },
           .samples = {over_last_dims({3, 4}, {4}, weight), over_last_dims({2, 3, 4}, {4}, none),
                       over_last_dims({2, 3, 4}, {3, 4}, weight), over_last_dims({4}, {4}, weight),
                       over_last_dims({0, 4}, {4}, weight)}},
          {.name = "batch_norm",
           .family = "normalization",
           .question = "What is each channel relative to its mean and spread over the batch?",
           .run = [](const Call& c) -> Results {
             // The running values change in place: the call's own stay as they are.
             const auto copy = [&c](std::string_view name) {
               const Tensor running = c.optional(name);
               return running.defined() ? running.clone() : running;
             };
             const Tensor mean = copy("running_mean"), var = copy("running_var");
             const Tensor y =
                 batch_norm(c["x"], mean, var, c.optional("weight"), c.optional("bias"),
                            c.flag("training"), c.number("momentum", 0.1), c.number("eps", 1e-5));
             if (!mean.defined()) return y;
             return Results({{"out", y}, {"running_mean", mean}, {"running_var", var}});
           },
           .samples = {of_batch({4, 3}, true, true), of_batch({4, 3}, false, true),
                       of_batch({3, 2, 4}, true, false), of_batch({3, 2, 4}, false, false),
                       of_batch({2, 3, 3, 2}, true, true), of_batch({2, 3, 3, 2}, false, true),
                       of_batch({0, 3}, false, true), of_batch({1, 2, 40}, true, true)}},
          {.name = "group_norm",
           .family = "normalization",
           .question = "What are a sample's channels relative to their group?",
           .run = [](const Call& c) -> Results {
             return group_norm(c["x"], c.integer("groups"), c.optional("weight"),
                               c.optional("bias"), c.number("eps", 1e-5));
           },
           .samples = {normalized({2, 4, 3}, {4}, affine, {{"groups", 2}}),
                       normalized({2, 4, 3}, {4}, none, {{"groups", 1}}),
                       normalized({2, 4, 2, 3}, {4}, affine, {{"groups", 4}}),
                       normalized({3, 6}, {6}, affine, {{"groups", 2}}),
                       normalized({0, 4, 3}, {4}, affine, {{"groups", 2}})}},
          {.name = "instance_norm",
           .family = "normalization",
           .question = "What is each channel of a sample relative to its own mean and spread?",
           .run = [](const Call& c) -> Results {
             return instance_norm(c["x"], c.optional("weight"), c.optional("bias"),
                                  c.number("eps", 1e-5));
           },
           .samples = {normalized({2, 3, 4}, {3}, affine), normalized({2, 3, 4}, {3}, none),
                       normalized({2, 2, 3, 2}, {2}, affine), normalized({0, 3, 4}, {3}, affine)}},
      });
}

}  // namespace retrace::catalogue
