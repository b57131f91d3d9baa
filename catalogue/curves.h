#pragma once

// The curves of a card, computed by the engine: forward and backward through the tape in float32,
// held against finite differences in float64.

#include <string>
#include <vector>

#include <retrace/catalogue/catalogue.h>

namespace retrace::catalogue {

/// A point at which the slope is not the same from both sides.
struct Corner {
  int point;
  double left, right;  ///< slopes beside it
  bool jump;           ///< the value itself jumps
};

/// What a scene shows for one position of its knobs.
struct Curve {
  std::string refused = {};                     ///< what the op said instead of giving results
  std::string formula = {}, gradient = {};      ///< as the node says them
  std::vector<std::vector<float>> values = {};  ///< of each shown number, at each point
  std::vector<std::vector<float>> slopes = {};  ///< of each shown, then of each watched number
  double error = 0;                  ///< largest difference to finite differences, relative above 1
  int compared = 0;                  ///< numbers for which there was one to compare
  std::vector<Corner> corners = {};  ///< of the first shown number
};

/// The first shown number far out, or why there is none.
struct Edge {
  double at;
  std::string refused = {};
  float value = 0;
  bool has_slope = false;
  float slope = 0;
};

/// The points of a scene's axis.
std::vector<double> grid(const Axis& axis);
/// Of each knob, the number of the stop at which it starts.
std::vector<std::size_t> first_stops(const Scene& scene);
/// All combinations of stops, those of the last knob fastest.
std::vector<std::vector<std::size_t>> all_stops(const Scene& scene);

/// The scene with its knobs at these stops and the moved number, as the op takes it, at `number`.
Call scene_call(const Scene& scene, const std::vector<std::size_t>& stops, double number,
                DType dtype = kFloat32);
Results run_scene(const Row& row, const Call& call);

Curve curve_of(const Row& row, const std::vector<std::size_t>& stops);
std::vector<Edge> edges_of(const Row& row);

}  // namespace retrace::catalogue
