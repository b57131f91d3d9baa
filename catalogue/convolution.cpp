// Convolution and pooling.
#include <retrace/autograd/ops/convolution.h>
#include <retrace/autograd/ops/pooling.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {
namespace {

// One number for both dims, or two.
Size2d size2d(const Call& c, std::string_view name, Size2d otherwise) {
  if (!c.has(name)) return otherwise;
  const Shape sizes = c.list(name);
  return sizes.size() == 1 ? Size2d(sizes[0]) : Size2d(sizes[0], sizes[1]);
}

std::optional<Size2d> stride2d(const Call& c) {
  return c.has("stride") ? std::optional(size2d(c, "stride", 1)) : std::nullopt;
}

Sample convolved(const Shape& x, const Shape& weight, bool bias, Arguments arguments = {}) {
  Sample sample{{{"x", x}, {"weight", weight}}, std::move(arguments)};
  if (bias) sample.inputs.push_back({"bias", {weight[0]}});
  return sample;
}

// Numbers that lie far apart, so that a maximum is clear.
Domain wide() { return between(-50, 50); }

std::vector<Sample> windows1d() {
  return {shaped({2, 2, 6}, {{"kernel", 2}}, wide()),
          shaped({2, 2, 6}, {{"kernel", 3}, {"stride", 1}, {"padding", 1}}, wide()),
          shaped({3, 7}, {{"kernel", 2}, {"stride", 3}}, wide()),
          shaped({0, 2, 6}, {{"kernel", 2}}, wide())};
}

std::vector<Sample> windows2d() {
  return {shaped({1, 2, 5, 6}, {{"kernel", list({2, 2})}}, wide()),
          shaped({1, 2, 4, 3}, {{"kernel", 3}, {"stride", 1}, {"padding", 1}}, wide()),
          shaped({2, 4, 5}, {{"kernel", list({1, 2})}, {"stride", list({3, 1})}}, wide()),
          shaped({2, 1, 3, 4}, {{"kernel", list({3, 2})}, {"padding", list({1, 0})}}, wide()),
          shaped({0, 2, 4, 4}, {{"kernel", 2}}, wide())};
}

}  // namespace

void add_convolution(std::vector<Row>& rows) {
  const auto without_padding = [](std::vector<Sample> samples) {
    std::vector<Sample> result = samples;
    for (Sample& sample : samples) {
      sample.arguments.emplace_back("count_include_pad", false);
      result.push_back(sample);
    }
    return result;
  };
  rows.insert(
      rows.end(),
      {
          {.name = "conv1d",
           .family = "convolution",
           .question = "Where in a sequence does each filter find its pattern?",
           .run = [](const Call& c) -> Results {
             return conv1d(c["x"], c["weight"], c.optional("bias"),
                           {.stride = c.integer("stride", 1),
                            .padding = c.integer("padding", 0),
                            .dilation = c.integer("dilation", 1),
                            .groups = c.integer("groups", 1)});
           },
           .samples = {convolved({2, 2, 6}, {3, 2, 3}, true),
                       convolved({2, 3, 5}, {2, 3, 1}, false),
                       convolved({2, 2, 7}, {4, 1, 3}, true,
                                 {{"stride", 2}, {"padding", 1}, {"groups", 2}}),
                       convolved({1, 1, 8}, {2, 1, 2}, true, {{"padding", 2}, {"dilation", 2}}),
                       convolved({0, 2, 6}, {3, 2, 3}, true)}},
          {.name = "conv2d",
           .family = "convolution",
           .question = "Where in an image does each filter find its pattern?",
           .run = [](const Call& c) -> Results {
             return conv2d(c["x"], c["weight"], c.optional("bias"),
                           {.stride = size2d(c, "stride", 1),
                            .padding = size2d(c, "padding", 0),
                            .dilation = size2d(c, "dilation", 1),
                            .groups = c.integer("groups", 1)});
           },
           .samples = {convolved({2, 2, 5, 4}, {3, 2, 3, 2}, true),
                       convolved({2, 2, 3, 4}, {2, 2, 1, 1}, false),
                       convolved({2, 2, 5, 5}, {2, 2, 3, 3}, true, {{"stride", 2}, {"padding", 1}}),
                       convolved({1, 4, 4, 6}, {4, 1, 2, 2}, true,
                                 {{"stride", list({1, 2})},
                                  {"padding", list({1, 0})},
                                  {"dilation", list({2, 1})},
                                  {"groups", 4}}),
                       convolved({1, 1, 5, 4}, {2, 1, 1, 3}, true, {{"stride", list({3, 1})}}),
                       convolved({1, 1, 3, 1}, {1, 1, 2, 2}, true, {{"padding", list({0, 2})}}),
                       convolved({0, 2, 4, 4}, {3, 2, 3, 3}, true)}},
          {.name = "max_pool1d",
           .family = "pooling",
           .question = "What is the largest value around each place of a sequence?",
           .run = [](const Call& c) -> Results {
             return max_pool1d(
                 c["x"], c.integer("kernel"),
                 {.stride = c.maybe_integer("stride"), .padding = c.integer("padding", 0)});
           },
           .samples = windows1d(),
           .smooth = all_differ,
           .allows_repeats = false},
          {.name = "max_pool2d",
           .family = "pooling",
           .question = "What is the largest value around each place of an image?",
           .run = [](const Call& c) -> Results {
             return max_pool2d(c["x"], size2d(c, "kernel", 1),
                               {.stride = stride2d(c), .padding = size2d(c, "padding", 0)});
           },
           .samples = windows2d(),
           .smooth = all_differ,
           .allows_repeats = false},
          {.name = "avg_pool1d",
           .family = "pooling",
           .question = "What is the mean around each place of a sequence?",
           .run = [](const Call& c) -> Results {
             return avg_pool1d(c["x"], c.integer("kernel"),
                               {.stride = c.maybe_integer("stride"),
                                .padding = c.integer("padding", 0),
                                .count_include_pad = c.flag("count_include_pad", true)});
           },
           .samples = without_padding(windows1d())},
          {.name = "avg_pool2d",
           .family = "pooling",
           .question = "What is the mean around each place of an image?",
           .run = [](const Call& c) -> Results {
             return avg_pool2d(c["x"], size2d(c, "kernel", 1),
                               {.stride = stride2d(c),
                                .padding = size2d(c, "padding", 0),
                                .count_include_pad = c.flag("count_include_pad", true)});
           },
           .samples = without_padding(windows2d())},
          {.name = "adaptive_avg_pool2d",
           .family = "pooling",
           .question = "What are the means of an image cut into a given number of parts?",
           .run = [](const Call& c) -> Results {
             return adaptive_avg_pool2d(c["x"], size2d(c, "output_size", 1));
           },
           .samples = {shaped({2, 3, 4, 3}, {{"output_size", 1}}),
                       shaped({1, 2, 5, 4}, {{"output_size", list({2, 3})}}),
                       shaped({2, 2, 3}, {{"output_size", list({3, 4})}}),
                       shaped({0, 2, 3, 3}, {{"output_size", 2}})}},
          {.name = "global_avg_pool2d",
           .family = "pooling",
           .question = "What is the mean of each channel of an image?",
           .run = [](const Call& c) -> Results { return adaptive_avg_pool2d(c["x"], 1); },
           .samples = {shaped({2, 3, 4, 3}), shaped({2, 1, 5})},
           .function = "adaptive_avg_pool2d"},
      });
}

}  // namespace retrace::catalogue
