#include <cmath>

#include <fmt/format.h>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/json.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tools/inspect.h>
#include <retrace/train/table.h>

namespace retrace::tools {
namespace {

// A name or a value of a file's, on one line.
std::string in_a_line(const std::string& text) {
  const std::string quoted = json_string(text);
  return quoted.substr(1, quoted.size() - 2);
}

std::string short_number(double value) {
  return std::isnan(value) ? "nan" : fmt::format("{:.4g}", value);
}

std::vector<std::string> row_of(const std::string& name, const Tensor& tensor) {
  std::vector<std::string> row = {in_a_line(name), std::string(name_of(tensor.dtype())),
                                  fmt::format("{}", tensor.sizes()),
                                  std::to_string(tensor.numel())};
  if (tensor.numel() == 0) {
    row.insert(row.end(), 5, "-");
    return row;
  }
  const Tensor numbers = tensor.to(kFloat64);
  const double mean = numbers.mean().item<double>();
  const double spread = std::sqrt((numbers - mean).square().mean().item<double>());
  for (const double value :
       {numbers.min().item<double>(), numbers.max().item<double>(), mean, spread})
    row.push_back(short_number(value));
  row.push_back(std::to_string(tensor.numel() - isfinite(numbers).sum().item<std::int64_t>()));
  return row;
}

}  // namespace

std::string inspect(const std::string& path) {
  NoGradGuard no_grad;
  const SafetensorsFile file = load_safetensors_file(path);
  train::Table table;
  table.header = {"name", "dtype", "shape", "numbers", "min", "max", "mean", "std", "not finite"};
  std::int64_t numbers = 0;
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors) {
    table.rows.push_back(row_of(name, tensor));
    numbers += tensor.numel();
    bytes += static_cast<std::uint64_t>(tensor.numel() * size_of(tensor.dtype()));
  }
  std::string text = fmt::format("{}: {} tensors, {} numbers, {} bytes\n", in_a_line(path),
                                 file.tensors.size(), numbers, bytes);
  if (!table.rows.empty()) text += '\n' + table.text();
  if (!file.metadata.empty()) text += "\nmetadata\n";
  for (const auto& [key, value] : file.metadata)
    text += fmt::format("  {}: {}\n", in_a_line(key), in_a_line(value));
  return text;
}

}  // namespace retrace::tools
