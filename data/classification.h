#pragma once

// Real files for a classifier: a folder of IDX images, or a CSV table with a column of classes.

#include <optional>
#include <string>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/data/table_encoder.h>
#include <retrace/tensor/safetensors.h>

namespace retrace::data {

/// What a classifier takes and gives: how a file becomes inputs, and what its classes are called. A
/// model's file keeps it, so that the model can be used on other files.
struct ClassificationFormat {
  TableEncoder columns = {};  ///< of a table; of images: empty
  Shape image = {};           ///< height and width; of a table: empty
  ClassNames classes = {};

  /// Numbers that a model sees of each row.
  std::int64_t features() const;
  /// Inputs from a file without classes: images of an IDX file, rows of a CSV. IoError when it does
  /// not fit.
  Tensor read_inputs(const std::string& path) const;

  Metadata to_metadata() const;
  /// IoError, in the name of `path`, when the metadata are not of a classifier.
  static ClassificationFormat from_metadata(const Metadata& metadata, const std::string& path);
};

struct ClassificationFiles {
  std::string train;          ///< a folder of IDX files, or a CSV
  std::string test = "";      ///< another; else part of `train` is held out
  double test_fraction = 0.2;
  std::string target = "";    ///< of a CSV: the column of classes
  bool header = true;
  std::uint64_t seed = 0;     ///< of the split
};

struct ClassificationData {
  TensorDataset train, test;  ///< images float32 [rows, height, width] or features [rows, features]
  ClassificationFormat format;
  std::vector<std::string> notes = {};  ///< what a person should know about the data, a line each
};

/// A folder that has both a "train" and a "t10k" part is tested on the latter. Columns are encoded
/// by what the training rows show. Errors: IoError for files, ValueError for a test fraction that
/// leaves nothing.
ClassificationData load_classification(const ClassificationFiles& files);

}  // namespace retrace::data
