#pragma once

// What the atlas shows of a row: a few words, and a scene in which one number moves and everything
// else stands still. Each number of a curve is a call of the row.

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <retrace/catalogue/call.h>

namespace retrace::catalogue {

/// A tensor of a scene, its numbers in row-major order.
struct Given {
  std::string name;
  Shape sizes;
  std::vector<double> numbers;
  DType dtype = kFloat32;
};

/// What a reader may set: an argument, or every element of an input.
struct Knob {
  std::string name;
  std::string label;
  std::vector<Argument> stops;
  Argument start;  ///< one of the stops
};

/// The points that the moved number passes, evenly spaced.
struct Axis {
  std::string symbol;  ///< "x"
  std::string label;   ///< "error x - t"; curves over one label can be laid over each other
  double low = -6, high = 6;
  int points = 61;
  double (*place)(double) = nullptr;  ///< of a point to the moved number, if not the same
  std::string by = {};                ///< symbol of the moved number, if not the same
  std::vector<double> edges = {-1e4, 1e4, -std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::quiet_NaN()};
};

/// A curve: an element of the result of that name, of the first result if it is empty.
struct Shown {
  std::string label;
  std::int64_t element = 0;
  std::string result = {};
};

/// Another element of the moved tensor whose gradient, that of the first curve, is shown as well.
struct Watched {
  std::string label;
  std::int64_t element;
};

/// A call with numbers to play with: one of them is moved along an axis, others by knobs.
struct Scene {
  std::vector<Given> inputs;
  std::string moved;  ///< an input; or an argument, and then there is no gradient
  std::int64_t element = 0;
  Axis axis;
  std::vector<Shown> shown = {{"y"}};
  std::vector<Knob> knobs = {};
  std::vector<std::pair<std::string, Argument>> arguments = {};
  std::vector<Watched> watched = {};
  Results (*run)(const Call& call) = nullptr;  ///< if it is more than a call of the row
};

/// What the atlas shows of an op or a loss.
struct Card {
  int topic = 0;             ///< of topics(); 0: the row has no card
  std::string about;         ///< what is asked, and what it is for, in a few sentences
  std::string range;         ///< of the values
  std::string slope;         ///< where the gradient vanishes or jumps
  std::string call;          ///< in C++; $(name) stands for the stop of that knob
  std::string example = {};  ///< "dpo --loss kto": what to give to ./run; empty if none uses it
  std::string trap = {};     ///< what people get wrong
  std::string formula = {};  ///< only of what has no gradient: otherwise its node says it
  Scene scene;
};

/// A subject of the atlas; its cards are those of the rows that name it.
struct Topic {
  int number;
  std::string title;
  std::string words = {};               ///< of subjects that are a way to use others
  std::vector<std::string> cards = {};  ///< which then are named here
};

/// In their order.
const std::vector<Topic>& topics();

}  // namespace retrace::catalogue
