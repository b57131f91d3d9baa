#pragma once

// First values of parameters. All functions fill a tensor in place, unrecorded, and return it.
// Random ones take numbers from `generator`, by default from default_generator().

#include <optional>

#include <retrace/tensor/random.h>

namespace retrace::nn::init {

Tensor uniform_(const Tensor& tensor, double low = 0, double high = 1,
                Generator* generator = nullptr);
Tensor normal_(const Tensor& tensor, double mean = 0, double std = 1,
               Generator* generator = nullptr);
Tensor constant_(const Tensor& tensor, double value);
Tensor zeros_(const Tensor& tensor);
Tensor ones_(const Tensor& tensor);
/// Identity matrix. ShapeError unless 2-dim.
Tensor eye_(const Tensor& tensor);

/// Normal with `mean` and `std`, cut to [low, high]: what falls outside is drawn again.
/// ValueError for std <= 0 or low >= high. Source: Robert 1995, arXiv:0907.4010.
Tensor trunc_normal_(const Tensor& tensor, double mean = 0, double std = 1, double low = -2,
                     double high = 2, Generator* generator = nullptr);

/// Rows or columns, whichever are fewer, are orthogonal and have length `gain`; all such matrices
/// are equally likely. More than two dims are flattened behind the first. ShapeError below two.
/// Source: Saxe et al. 2013, arXiv:1312.6120.
Tensor orthogonal_(const Tensor& tensor, double gain = 1, Generator* generator = nullptr);

enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };
/// Factor by which weights are larger in front of a nonlinearity, so that signals keep their size:
/// linear, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2 / (1 + slope²)), slope 0.01 unless given;
/// selu 3/4. Those of torch.nn.init.calculate_gain.
double calculate_gain(Nonlinearity nonlinearity, std::optional<double> slope = {});

/// Numbers of inputs and outputs of a unit with weights of these sizes [out, in, kernel...]:
/// in · kernel and out · kernel. ShapeError for fewer than two dims.
struct Fans {
  double in, out;
};
Fans fans_of(const Shape& sizes);

/// gain · √(6 / (in + out)) and gain · √(2 / (in + out)).
/// Source: Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural
/// networks, equation 16.
double xavier_uniform_bound(const Shape& sizes, double gain = 1);
double xavier_normal_std(const Shape& sizes, double gain = 1);
/// Uniform in ±bound; normal with that deviation.
Tensor xavier_uniform_(const Tensor& tensor, double gain = 1, Generator* generator = nullptr);
Tensor xavier_normal_(const Tensor& tensor, double gain = 1, Generator* generator = nullptr);

enum class FanMode { fan_in, fan_out };
struct KaimingOptions {
  double a = 0;                    ///< slope, for leaky_relu
  FanMode mode = FanMode::fan_in;  ///< keep the size of signals forward, or of gradients back
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};
/// gain · √(3 / fan) and gain / √fan, with the gain of the nonlinearity.
/// Source: He et al. 2015, arXiv:1502.01852, equations 10 and 14.
double kaiming_uniform_bound(const Shape& sizes, const KaimingOptions& options = {});
double kaiming_normal_std(const Shape& sizes, const KaimingOptions& options = {});
/// Uniform in ±bound; normal with that deviation.
Tensor kaiming_uniform_(const Tensor& tensor, const KaimingOptions& options = {},
                        Generator* generator = nullptr);
Tensor kaiming_normal_(const Tensor& tensor, const KaimingOptions& options = {},
                       Generator* generator = nullptr);

/// √(1 / in). Source: LeCun et al. 1998, Efficient BackProp, section 4.6.
double lecun_normal_std(const Shape& sizes);
Tensor lecun_normal_(const Tensor& tensor, Generator* generator = nullptr);

}  // namespace retrace::nn::init
