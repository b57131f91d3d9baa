#pragma once

// Real files to learn from: a folder of IDX images, or a CSV table. What is learnt of the training
// rows alone (scales, categories) is kept as a format, with which a model can be used on other
// files.

#include <string>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/data/outputs.h>
#include <retrace/data/table_encoder.h>
#include <retrace/tensor/safetensors.h>

namespace retrace::data {

/// What to do with a column of texts: a feature for each text, or an IoError that names the first.
enum class Categories { encode, refuse };

/// Which files to read, and which columns mean what.
struct DataFiles {
  std::string train;      ///< a folder of IDX files, or a CSV
  std::string test = "";  ///< another, not the same; without one a part of `train` is held out
  double test_fraction = 0.2;
  std::string target = "";  ///< of a CSV: the column of the class, or of the quantity
  std::int64_t labels = 0;  ///< of a CSV with several labels a row: so many columns at the end
  bool header = true;       ///< of a CSV: the first line has the columns' names
  Categories categories = Categories::encode;
  std::uint64_t seed = 0;  ///< of the split
};

/// How a file becomes the inputs of a model.
struct InputFormat {
  TableEncoder columns = {};  ///< of a table; of images: empty
  Shape image = {};           ///< height and width; of a table: empty
  bool header = true;         ///< of the tables
  /// Of tables whose columns have no names, only places: how many columns one must have, without
  /// targets behind the others, and with them.
  Shape widths = {};

  /// Numbers that a model sees of each row.
  std::int64_t features() const;
  /// Inputs from a file that has no targets, or has them in other columns: images of an IDX file,
  /// rows of a CSV. IoError when it does not fit. `notes` as of TableEncoder::encode.
  Tensor read(const std::string& path, std::vector<std::string>* notes = nullptr) const;

  Metadata to_metadata() const;
  /// IoError, in the name of `path`, when the metadata say nothing of inputs.
  static InputFormat from_metadata(const Metadata& metadata, const std::string& path);
};

/// What a model takes and gives. Its file keeps it.
template <class Outputs>
struct Format {
  InputFormat inputs = {};
  Outputs outputs = {};  ///< ClassNames, TargetScale or LabelNames

  Metadata to_metadata() const;
  /// IoError, in the name of `path`, when they are of another kind of model.
  static Format from_metadata(const Metadata& metadata, const std::string& path);
};
using ClassificationFormat = Format<ClassNames>;
using RegressionFormat = Format<TargetScale>;
using MultiLabelFormat = Format<LabelNames>;

/// Rows to learn from and rows to test with, and how a further file becomes such rows.
template <class Outputs>
struct LoadedData {
  TensorDataset train, test;
  Format<Outputs> format;
  std::vector<std::string> notes = {};  ///< what a person should know about the data, a line each
};
using ClassificationData = LoadedData<ClassNames>;
using RegressionData = LoadedData<TargetScale>;
using MultiLabelData = LoadedData<LabelNames>;

/// Inputs: images float32 [rows, height, width], or features of a table, float32 [rows, features].
/// Targets: int64 [rows], the classes of a folder's labels or of the column `target`. Of a folder
/// the part "train" is trained on, or its only one. It is tested on a part "t10k" or "test" of
/// `test`, or the only one of that; without `test` on such a part of `train`, if it has another
/// than is trained on. Parts that are not used, and classes of no row to train on, are noted.
/// IoError, also when fewer than two classes are left to train on, or when what is trained on is to
/// be tested on.
ClassificationData load_classification(const DataFiles& files);

/// Targets: float32 [rows], the column `target`, standardised; format.outputs.to_units leads back.
/// IoError, also for a target that is missing somewhere, or the same everywhere.
RegressionData load_regression(const DataFiles& files);

/// Targets: float32 [rows, labels], 0 or 1, the last columns. IoError.
MultiLabelData load_multi_label(const DataFiles& files);

}  // namespace retrace::data
