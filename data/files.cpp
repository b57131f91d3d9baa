#include <retrace/data/files.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include <retrace/data/balance.h>
#include <retrace/data/csv.h>
#include <retrace/data/idx.h>
#include <retrace/data/in_the_name_of.h>
#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::data {
namespace {

bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

bool is_folder(const std::string& path) {
  std::error_code ignored;  // what is wrong with a path, opening it says
  return std::filesystem::is_directory(path, ignored);
}

bool is_same(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return std::filesystem::equivalent(a, b, ignored);
}

void require_apart(const DataFiles& files) {
  require<IoError>(!is_same(files.train, files.test),
                   "{}: is given both to train and to test on; leave --test out, and a part of it "
                   "is held out",
                   files.train);
}

// All to train on where there is another file to test on.
RowSplit choose_rows(const DataFiles& files, std::int64_t rows) {
  if (files.test.empty()) {
    return in_the_name_of(files.train,
                          [&] { return split_rows(rows, files.test_fraction, files.seed); });
  }
  std::vector<std::int64_t> all(static_cast<std::size_t>(rows));
  std::iota(all.begin(), all.end(), 0);
  return {all, {}};
}

// Images --------------------------------------------------------------------------------------

// The part of a folder that is made to test on, if it has one.
std::string part_to_test_on(const std::string& folder, const std::vector<std::string>& parts) {
  const bool has_t10k = contains(parts, "t10k"), has_test = contains(parts, "test");
  require<IoError>(
      !has_t10k || !has_test,
      "{}: has the parts t10k and test, either of which is to test on; leave one there", folder);
  return has_t10k ? "t10k" : has_test ? "test" : "";
}

struct Parts {
  std::string train, test;               // of the folder to train on, of that to test on
  std::vector<std::string> unused = {};  // of the folder to train on
};

// Without a part to test on, rows of the other are held out.
Parts choose_parts(const DataFiles& files) {
  const bool has_test = !files.test.empty();
  const std::vector<std::string> all = idx_parts(files.train),
                                 to_test = has_test ? idx_parts(files.test) : all;
  const std::string& test_folder = has_test ? files.test : files.train;
  Parts parts = {.train = all.size() == 1 ? all.front() : "train",
                 .test = part_to_test_on(test_folder, to_test)};
  if (has_test) {
    require<IoError>(!parts.test.empty() || to_test.size() <= 1,
                     "{}: has the parts {}, and none is called t10k or test; to test, give a "
                     "folder with one",
                     test_folder, fmt::join(to_test, ", "));
    if (to_test.size() == 1) parts.test = to_test.front();
    if (parts.test == parts.train) require_apart(files);
  } else if (parts.test == parts.train) {
    parts.test.clear();
  }
  const bool is_one = !has_test || is_same(files.train, files.test);
  for (const std::string& part : all) {
    if (part != parts.train && !(is_one && part == parts.test)) parts.unused.push_back(part);
  }
  return parts;
}

ClassificationData load_images(const DataFiles& files) {
  const Parts parts = choose_parts(files);
  const std::string& test_folder = files.test.empty() ? files.train : files.test;
  ClassificationData data;
  data.train = load_idx(files.train, {.part = parts.train, .flatten = false});
  if (files.test.empty() && parts.test.empty()) {
    const TensorDataset all = data.train;
    const RowSplit rows = choose_rows(files, all.size());
    data.train = all.subset(rows.train);
    data.test = all.subset(rows.test);
  } else {
    data.test = load_idx(test_folder, {.part = parts.test, .flatten = false});
  }
  for (const std::string& part : parts.unused)
    data.notes.push_back(fmt::format("{}: its part {} is not used", files.train, excerpt(part)));
  const Shape& sizes = data.train.inputs.sizes();
  require<IoError>(data.train.size() > 0 && data.test.size() > 0 && sizes[1] > 0 && sizes[2] > 0,
                   "{}: there are no images to train and test on", files.train);
  require<IoError>(data.test.inputs.size(1) == sizes[1] && data.test.inputs.size(2) == sizes[2],
                   "{}: images to test on are {}, to train on {}", test_folder,
                   data.test.inputs.sizes(), sizes);
  std::int64_t classes = 2;
  for (const TensorDataset* part : {&data.train, &data.test}) {
    classes = std::max(classes, part->targets.max().item<std::int64_t>() + 1);
  }
  data.format.inputs.image = {sizes[1], sizes[2]};
  data.format.outputs = ClassNames(numbered(classes, 0));
  return data;
}

// Tables --------------------------------------------------------------------------------------

Table read_table(const std::string& path, const CsvOptions& options) {
  Table table = read_csv(path, options);
  require<IoError>(table.rows() > 0, "{}: has no rows", path);
  return table;
}

// How any further table must be read, once the columns are known.
CsvOptions further(const InputFormat& inputs, CsvOptions options = {}) {
  const auto add = [](std::vector<std::string>& to, const std::vector<std::string>& names) {
    to.insert(to.end(), names.begin(), names.end());
  };
  options.header = inputs.header;
  add(options.text_columns, inputs.columns.text_columns());
  add(options.number_columns, inputs.columns.number_columns());
  return options;
}

// Of the columns without the targets that come last, and with them.
Shape widths(const Table& table, const std::vector<std::string>& targets) {
  std::int64_t inputs = std::ssize(table.columns);
  while (inputs > 0 && contains(targets, table.columns[static_cast<std::size_t>(inputs - 1)].name))
    --inputs;
  return {inputs, std::ssize(table.columns)};
}

// `targets` says how their columns must be read; outputs = learn(table, rows to train on).
template <class Outputs, class Learn>
LoadedData<Outputs> load_table(const DataFiles& files, CsvOptions targets, Learn&& learn) {
  require<IoError>(!is_folder(files.train), "{}: is a folder; give a CSV file", files.train);
  require_apart(files);
  targets.header = files.header;
  targets.numbers_only = files.categories == Categories::refuse;
  const Table table = read_table(files.train, targets);
  const RowSplit rows = choose_rows(files, table.rows());
  LoadedData<Outputs> data;
  auto& [inputs, outputs] = data.format;
  outputs = learn(table, rows.train);
  const Tensor encoded = outputs.encode(table);
  inputs.header = files.header;
  if (!files.header) inputs.widths = widths(table, outputs.columns());
  inputs.columns = TableEncoder(table, rows.train, outputs.columns());
  data.notes = inputs.columns.notes();
  if (files.header && table.names_are_numbers())
    data.notes.push_back(fmt::format(
        "{}: the names in its first line are all numbers; if that is a row, give --no-header",
        files.train));
  const TensorDataset all = {inputs.columns.encode(table), encoded};
  data.train = all.subset(rows.train);
  if (files.test.empty()) {
    data.test = all.subset(rows.test);
  } else {
    const Table test = read_table(files.test, further(inputs, targets));
    const std::int64_t width = std::ssize(test.columns);
    require<IoError>(files.header || width == std::ssize(table.columns),
                     "{}: has {} columns, and {} has {}; without names each must have its place",
                     files.test, width, files.train, std::ssize(table.columns));
    data.test = {inputs.columns.encode(test, &data.notes), outputs.encode(test)};
  }
  return data;
}

void require_target(const DataFiles& files, std::string_view what) {
  if (!files.target.empty()) return;
  const Table table = read_csv(files.train, {.header = files.header});
  fail<IoError>("{}: say with --target which column holds the {}; the columns are {}", files.train,
                what, table.names_like());
}

// Of a class that no row has to train on nothing is learnt.
void note_classes(const std::string& path, ClassificationData& data) {
  const std::int64_t classes = data.format.outputs.size();
  const auto counts = class_counts(data.train.targets, classes).to_vector<std::int64_t>();
  std::vector<std::string> present, absent;
  for (std::size_t i = 0; i < counts.size(); ++i)
    (counts[i] > 0 ? present : absent).push_back(excerpt(data.format.outputs.names()[i]));
  require<IoError>(present.size() > 1,
                   "{}: the rows to train on are all of class {}; a classifier needs two", path,
                   fmt::join(present, ""));
  if (absent.empty()) return;
  constexpr std::size_t kShown = 5;
  const std::size_t more = absent.size() - std::min(kShown, absent.size());
  absent.resize(absent.size() - more);
  data.notes.push_back(fmt::format("{}: no row to train on is of class {}{}", path,
                                   fmt::join(absent, ", "),
                                   more > 0 ? fmt::format(" and {} more", more) : ""));
}

}  // namespace

ClassificationData load_classification(const DataFiles& files) {
  const auto load_classes = [&files] {
    require_target(files, "classes");
    return load_table<ClassNames>(
        files, {.text_columns = {files.target}},
        [&](const Table& table, const auto&) { return ClassNames(table, files.target); });
  };
  ClassificationData data = is_folder(files.train) ? load_images(files) : load_classes();
  note_classes(files.train, data);
  return data;
}

RegressionData load_regression(const DataFiles& files) {
  require_target(files, "quantity to predict");
  return load_table<TargetScale>(
      files, {.number_columns = {files.target}},
      [&](const Table& table, const auto& rows) { return TargetScale(table, files.target, rows); });
}

MultiLabelData load_multi_label(const DataFiles& files) {
  MultiLabelData data = load_table<LabelNames>(
      files, {}, [&](const Table& table, const auto&) { return LabelNames(table, files.labels); });
  for (std::int64_t label = 0; label < data.format.outputs.size(); ++label) {
    const Tensor column = data.train.targets.select(1, label);
    const float least = column.min().item<float>();
    if (least != column.max().item<float>()) continue;
    data.notes.push_back(fmt::format("label {}: is {} in all rows to train on",
                                     data.format.outputs.names()[static_cast<std::size_t>(label)],
                                     least));
  }
  return data;
}

// Formats -------------------------------------------------------------------------------------

std::int64_t InputFormat::features() const {
  return image.size() == 2 ? image[0] * image[1] : columns.features();
}

Tensor InputFormat::read(const std::string& path, std::vector<std::string>* notes) const {
  if (image.size() != 2) {
    const Table table = read_table(path, further(*this));
    const std::int64_t width = std::ssize(table.columns);
    require<IoError>(widths.empty() || width == widths[0] || width == widths[1],
                     "{}: has {} columns, but the model takes tables of {}, whose columns have no "
                     "names to find them by",
                     path, width, widths);
    return columns.encode(table, notes);
  }
  const Tensor images = read_images(path);
  require<IoError>(images.size(1) == image[0] && images.size(2) == image[1],
                   "{}: its images are {}, but the model takes images of {}", path, images.sizes(),
                   image);
  return images;
}

template <class Outputs>
Metadata Format<Outputs>::to_metadata() const {
  Metadata metadata = inputs.to_metadata();
  metadata.emplace(Outputs::kKey, outputs.to_json());
  return metadata;
}

template <class Outputs>
Format<Outputs> Format<Outputs>::from_metadata(const Metadata& metadata, const std::string& path) {
  const auto outputs = metadata.find(std::string(Outputs::kKey));
  require<IoError>(outputs != metadata.end(), "{}: is another kind of model: it has no {}", path,
                   Outputs::kKey);
  return {InputFormat::from_metadata(metadata, path),
          in_the_name_of(path, [&] { return Outputs::from_json(outputs->second); })};
}

template struct Format<ClassNames>;
template struct Format<TargetScale>;
template struct Format<LabelNames>;

}  // namespace retrace::data
