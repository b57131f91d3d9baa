#pragma once

#include <string_view>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace::data {

/// The numbers of points [rows, features], row by row. ShapeError, in the name of `task`, for
/// another shape.
std::vector<double> coordinates(std::string_view task, const Tensor& points, std::int64_t features);

}  // namespace retrace::data
