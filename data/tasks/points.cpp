#include <retrace/data/tasks/points.h>

#include <retrace/tensor/check.h>

namespace retrace::data {

std::vector<double> coordinates(std::string_view task, const Tensor& points,
                                std::int64_t features) {
  require<ShapeError>(points.dim() == 2 && points.size(1) == features,
                      "{}: points must be [rows, {}], not {}", task, features, points.sizes());
  return points.to_vector<double>();
}

}  // namespace retrace::data
