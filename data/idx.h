#pragma once

// IDX, the format of MNIST: two zero bytes, a type, a rank, big-endian sizes, the numbers. Plain or
// gzip. Every error is an IoError that begins with the path.

#include <string>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/tensor.h>

namespace retrace::data {

/// The numbers of one file as they are: whole numbers int64, fractions float32 or float64.
Tensor read_idx(const std::string& path);

/// Images of bytes as float32 [samples, height, width], 255 as 1. IoError, also for a file that
/// holds anything else.
Tensor read_images(const std::string& path);

struct IdxOptions {
  /// Which pair of files to read when the folder has several: "train", "t10k", ... Without it
  /// "train" if there is one, else the only one.
  std::string part = "";
  /// Images as rows of height · width numbers; else [samples, height, width].
  bool flatten = true;
};

/// Images and labels of a folder, PART-images-idx3-ubyte and PART-labels-idx1-ubyte, plain or .gz
/// (plain where there are both): inputs are float32 in [0, 1] (bytes over 255), targets int64
/// [samples].
TensorDataset load_idx(const std::string& folder, const IdxOptions& options = {});

/// The parts that a folder has, sorted: those with images and labels.
std::vector<std::string> idx_parts(const std::string& folder);

/// Writes whole numbers from 0 to 255 as bytes (type 0x08), float32 and float64 as they are; with
/// gzip when the path ends in .gz. ValueError for other numbers or no dims.
void write_idx(const std::string& path, const Tensor& numbers);

}  // namespace retrace::data
