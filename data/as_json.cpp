// What a model keeps about its inputs and outputs, as JSON.

#include <algorithm>
#include <functional>

#include <retrace/data/files.h>
#include <retrace/data/in_the_name_of.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/json.h>

namespace retrace::data {
namespace {

constexpr std::int64_t kMost = 1 << 30;  // columns, pixels of an image

// What f makes of the JSON that a model keeps about its outputs.
template <class F>
auto read_json(const std::string& text, F&& f) {
  try {
    return f(parse_json(text));
  } catch (const nlohmann::json::exception&) {
    fail<IoError>("what it says about its outputs cannot be read");
  }
}

// Two whole numbers above 0; else what they are makes no sense.
Shape read_pair(const std::string& text, std::string_view what, const std::string& path) {
  const nlohmann::json json = in_the_name_of(path, [&] { return parse_json(text); });
  require<IoError>(json.is_array() && json.size() == 2 &&
                       std::all_of(json.begin(), json.end(),
                                   [](const auto& size) {
                                     return size.is_number_unsigned() &&
                                            size.template get<std::uint64_t>() - 1 < kMost;
                                   }),
                   "{}: {} makes no sense", path, what);
  return {json[0], json[1]};
}

}  // namespace

// Inputs --------------------------------------------------------------------------------------

std::string TableEncoder::to_json() const {
  auto json = nlohmann::ordered_json::array();
  for (const ColumnRule& rule : rules_) {
    auto& column = json.emplace_back();
    column["name"] = rule.name;
    if (rule.is_text) {
      column["levels"] = rule.levels;
      column["shares"] = rule.shares;
    } else {
      column["mean"] = rule.scale.mean;
      column["deviation"] = rule.scale.deviation;
    }
  }
  return json_text(json);
}

TableEncoder TableEncoder::from_json(const std::string& text) {
  TableEncoder encoder;
  try {
    for (const auto& column : parse_json(text)) {
      ColumnRule rule{.name = column.at("name"), .is_text = column.contains("levels")};
      if (rule.is_text) {
        column.at("levels").get_to(rule.levels);
        column.at("shares").get_to(rule.shares);
      } else {
        column.at("mean").get_to(rule.scale.mean);
        column.at("deviation").get_to(rule.scale.deviation);
      }
      const auto unsorted =
          std::adjacent_find(rule.levels.begin(), rule.levels.end(), std::greater_equal<>());
      require<IoError>(rule.levels.size() == rule.shares.size() && rule.scale.deviation > 0 &&
                           unsorted == rule.levels.end(),
                       "columns: column {} of the model is inconsistent", json_excerpt(rule.name));
      encoder.rules_.push_back(std::move(rule));
    }
  } catch (const nlohmann::json::exception&) {
    fail<IoError>("columns: the model's list of columns cannot be read");
  }
  return encoder;
}

Metadata InputFormat::to_metadata() const {
  if (image.size() == 2) return {{"image", fmt::format("[{},{}]", image[0], image[1])}};
  Metadata metadata = {{"columns", columns.to_json()}, {"header", header ? "true" : "false"}};
  if (!widths.empty()) metadata["widths"] = fmt::format("[{},{}]", widths[0], widths[1]);
  return metadata;
}

InputFormat InputFormat::from_metadata(const Metadata& metadata, const std::string& path) {
  InputFormat format;
  try {
    if (const auto image = metadata.find("image"); image != metadata.end()) {
      format.image = read_pair(image->second, "the size of its images", path);
      require<IoError>(format.image.numel() <= kMost, "{}: the size of its images makes no sense",
                       path);
      return format;
    }
    const auto columns = metadata.find("columns"), header = metadata.find("header");
    require<IoError>(columns != metadata.end(), "{}: does not say what its inputs are", path);
    format.columns = in_the_name_of(path, [&] { return TableEncoder::from_json(columns->second); });
    format.header = header == metadata.end() || header->second == "true";
    if (const auto widths = metadata.find("widths"); widths != metadata.end())
      format.widths = read_pair(widths->second, "the width of its tables", path);
  } catch (const nlohmann::json::exception&) {
    fail<IoError>("{}: what it says about its inputs cannot be read", path);
  }
  return format;
}

// Outputs -------------------------------------------------------------------------------------

std::string ClassNames::to_json() const {
  return json_text(nlohmann::ordered_json{{"column", column_}, {"names", names_}});
}

ClassNames ClassNames::from_json(const std::string& text) {
  return read_json(text, [](const nlohmann::json& json) {
    ClassNames classes(json.at("names").get<std::vector<std::string>>());
    json.at("column").get_to(classes.column_);
    return classes;
  });
}

std::string TargetScale::to_json() const {
  return json_text(nlohmann::ordered_json{
      {"column", column_}, {"mean", scale_.mean}, {"deviation", scale_.deviation}});
}

TargetScale TargetScale::from_json(const std::string& text) {
  return read_json(text, [](const nlohmann::json& json) {
    TargetScale target;
    json.at("column").get_to(target.column_);
    json.at("mean").get_to(target.scale_.mean);
    json.at("deviation").get_to(target.scale_.deviation);
    require<IoError>(target.scale_.deviation > 0, "the deviation of its target is {}",
                     target.scale_.deviation);
    return target;
  });
}

std::string LabelNames::to_json() const { return json_text(nlohmann::json(names_)); }

LabelNames LabelNames::from_json(const std::string& text) {
  return read_json(text, [](const nlohmann::json& json) {
    return LabelNames(json.get<std::vector<std::string>>());
  });
}

}  // namespace retrace::data
