#include <retrace/data/classification.h>

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include <retrace/data/csv.h>
#include <retrace/data/idx.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::data {
namespace {

std::vector<std::string> numbers_below(std::int64_t count) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

ClassificationData load_images(const ClassificationFiles& files) {
  const IdxOptions whole = {.flatten = false};
  const std::vector<std::string> parts = idx_parts(files.train);
  ClassificationData data;
  if (!files.test.empty()) {
    data.train = load_idx(files.train, whole);
    data.test = load_idx(files.test, whole);
  } else if (contains(parts, "train") && contains(parts, "t10k")) {
    data.train = load_idx(files.train, {.part = "train", .flatten = false});
    data.test = load_idx(files.train, {.part = "t10k", .flatten = false});
  } else {
    const TensorDataset all = load_idx(files.train, whole);
    Split split = all.split(files.test_fraction, files.seed);
    data.train = std::move(split.train);
    data.test = std::move(split.test);
  }
  const Shape& sizes = data.train.inputs.sizes();
  require<IoError>(data.train.size() > 0 && data.test.size() > 0 && sizes[1] > 0 && sizes[2] > 0,
                   "{}: there are no images to train and test on", files.train);
  require<IoError>(data.test.inputs.size(1) == sizes[1] && data.test.inputs.size(2) == sizes[2],
                   "{}: images to test on are {}, to train on {}", files.test,
                   data.test.inputs.sizes(), sizes);
  std::int64_t classes = 2;
  for (const TensorDataset* part : {&data.train, &data.test}) {
    classes = std::max(classes, part->targets.max().item<std::int64_t>() + 1);
  }
  data.format.image = {sizes[1], sizes[2]};
  data.format.classes = ClassNames(numbers_below(classes));
  return data;
}

Table read_table(const std::string& path, const ClassificationFiles& files,
                 std::vector<std::string> text_columns) {
  Table table = read_csv(path, {.header = files.header, .text_columns = std::move(text_columns)});
  require<IoError>(table.rows() > 0, "{}: has no rows", path);
  return table;
}

ClassificationData load_table(const ClassificationFiles& files) {
  require<IoError>(!files.target.empty(), "{}: say with --target which column holds the classes",
                   files.train);
  const Table table = read_table(files.train, files, {files.target});
  ClassificationData data;
  data.format.classes = ClassNames(table, files.target);
  RowSplit rows;
  if (files.test.empty()) {
    rows = split_rows(table.rows(), files.test_fraction, files.seed);
  } else {
    for (std::int64_t row = 0; row < table.rows(); ++row) rows.train.push_back(row);
  }
  data.format.columns = TableEncoder(table, rows.train, {files.target});
  data.notes = data.format.columns.notes();
  const TensorDataset all = {data.format.columns.encode(table),
                             data.format.classes.encode(table, files.target)};
  data.train = all.subset(rows.train);
  if (files.test.empty()) {
    data.test = all.subset(rows.test);
  } else {
    std::vector<std::string> text_columns = data.format.columns.text_columns();
    text_columns.push_back(files.target);
    const Table test = read_table(files.test, files, std::move(text_columns));
    data.test = {data.format.columns.encode(test), data.format.classes.encode(test, files.target)};
  }
  return data;
}

}  // namespace

ClassificationData load_classification(const ClassificationFiles& files) {
  std::error_code ignored;  // what is wrong with a path, opening it says
  return std::filesystem::is_directory(files.train, ignored) ? load_images(files)
                                                             : load_table(files);
}

std::int64_t ClassificationFormat::features() const {
  return image.size() == 2 ? image[0] * image[1] : columns.features();
}

Tensor ClassificationFormat::read_inputs(const std::string& path) const {
  if (image.size() != 2) {
    const Table table = read_csv(path, {.text_columns = columns.text_columns()});
    require<IoError>(table.rows() > 0, "{}: has no rows", path);
    return columns.encode(table);
  }
  const Tensor images = read_idx(path);
  require<IoError>(images.dim() == 3 && images.size(1) == image[0] && images.size(2) == image[1],
                   "{}: is {} {}, but the model takes images of {}", path, images.dtype(),
                   images.sizes(), image);
  return images.dtype() == kInt64 ? images.to(kFloat32).div_(255.0) : images.to(kFloat32);
}

Metadata ClassificationFormat::to_metadata() const {
  Metadata metadata = {{"classes", nlohmann::json(classes.names()).dump()}};
  if (image.size() == 2) {
    metadata["image"] = nlohmann::json({image[0], image[1]}).dump();
  } else {
    metadata["columns"] = columns.to_json();
  }
  return metadata;
}

ClassificationFormat ClassificationFormat::from_metadata(const Metadata& metadata,
                                                         const std::string& path) {
  const auto text = [&](const char* key) {
    const auto item = metadata.find(key);
    require<IoError>(item != metadata.end(), "{}: is not the model of a classifier (no \"{}\")",
                     path, key);
    return item->second;
  };
  ClassificationFormat format;
  try {
    format.classes =
        ClassNames(nlohmann::json::parse(text("classes")).get<std::vector<std::string>>());
    if (metadata.contains("image")) {
      const auto sizes = nlohmann::json::parse(text("image")).get<std::vector<std::int64_t>>();
      std::int64_t pixels = 0;
      require<IoError>(sizes.size() == 2 && sizes[0] > 0 && sizes[1] > 0 &&
                           !__builtin_mul_overflow(sizes[0], sizes[1], &pixels),
                       "{}: the size of its images makes no sense", path);
      format.image = {sizes[0], sizes[1]};
    } else {
      format.columns = TableEncoder::from_json(text("columns"));
    }
  } catch (const nlohmann::json::exception& error) {
    fail<IoError>("{}: what it says about its inputs cannot be read: {}", path, error.what());
  }
  return format;
}

}  // namespace retrace::data
