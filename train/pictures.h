#pragma once

// Pictures that many programs show.

#include <functional>
#include <string>
#include <vector>

#include <retrace/tensor/tensor.h>
#include <retrace/train/figure.h>

namespace retrace::train {

/// What a model of two inputs says in each place of a rectangle: the most probable class, as
/// strongly as it is more probable than by chance. `probabilities` maps [rows, 2] to [rows,
/// classes].
Figure::Raster decision_regions(const std::function<Tensor(const Tensor&)>& probabilities,
                                double left, double right, double bottom, double top,
                                int cells = 72);

/// Adds dots along the edge at which the probability of a label passes one half: `probability` maps
/// [rows, 2] to [rows].
void add_edge(Figure& figure, const std::string& name,
              const std::function<Tensor(const Tensor&)>& probability, double left, double right,
              double bottom, double top, int cells = 96);
/// Adds a dashed circle.
void add_circle(Figure& figure, const std::string& name, double x, double y, double radius);

/// Adds dots: `points` [rows, 2], a colour for each of `labels` (int64 [rows], numbers of `names`);
/// at most `most` of them, the first ones.
void add_points(Figure& figure, const Tensor& points, const Tensor& labels,
                const std::vector<std::string>& names, std::int64_t most = 600);

/// Vectors [rows, dims] of classes, as add_points has them, in their principal_plane.
Figure class_figure(const Tensor& vectors, const Tensor& labels,
                    const std::vector<std::string>& names);

/// Adds a line for each column of `curves` [points, names] over `x` [points].
void add_lines(Figure& figure, const Tensor& x, const Tensor& curves,
               const std::vector<std::string>& names, Figure::Stroke stroke = Figure::solid);

/// Column k of a matrix, as numbers to draw.
Figure::Numbers column(const Tensor& matrix, std::int64_t k);

/// `points` [rows, dims] in two dims, [rows, 2]: along the two directions in which they vary most.
Tensor principal_plane(const Tensor& points);

}  // namespace retrace::train
