#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/losses/binary_classification.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/contrastive.h>
#include <retrace/losses/named.h>
#include <retrace/losses/paired_cross_entropy.h>

#include <limits>

namespace retrace::losses {
namespace {

struct InfoNce {
  static constexpr std::string_view
      op = "info_nce",
      formula = "y = mean of -log softmax(z)(right), z = query · candidates / τ",
      gradient = "dz = g · (p - [right]) / N, on through the product and the lengths";
};
struct NtXent {
  static constexpr std::string_view
      op = "nt_xent",
      formula = "y = mean of -log softmax(z)(the other view), z = cos of all views but itself / τ",
      gradient = "dz = g · (p - [right]) / 2 N, on through the product and the lengths";
};
struct SupCon {
  static constexpr std::string_view
      op = "sup_con",
      formula = "y = mean over anchors of mean over P of -log softmax(z)(P), z = cos / τ",
      gradient = "dz = g · (p - [in P] / |P|) / anchors, on through the product and the lengths";
};
struct Clip {
  static constexpr std::string_view
      op = "clip_loss",
      formula = "y = mean of -½ log(p of the row) - ½ log(p of the column), z = exp(s) · cos",
      gradient = "dz = g · (p of the row + p of the column - 2 [right]) / 2 N, ds = Σ dz · z";
};
struct Siglip {
  static constexpr std::string_view op = "siglip_loss",
                                    formula = "y = -Σ log σ(± z) / N, z = exp(s) · cos + b",
                                    gradient =
                                        "dz = g · (σ(z) - [right]) / N, ds = Σ dz · (z - b), db "
                                        "= Σ dz";
};

// Two tensors [N, D] whose rows belong together.
void check_rows(std::string_view op, std::string_view first_name, const Tensor& first,
                std::string_view second_name, const Tensor& second) {
  require_defined(op, {&first, &second});
  require_same_dtype(op, first, second);
  if (!first.is_floating_point()) refuse_dtype(op, first.dtype(), "float32 or float64");
  require<ShapeError>(first.dim() == 2 && first.sizes() == second.sizes(),
                      "{}: {} is {}, {} {}; both must be [N, D], a row for each row", op,
                      first_name, first.sizes(), second_name, second.sizes());
}

void check_number(std::string_view op, std::string_view name, const Tensor& number,
                  const Tensor& rows) {
  require_defined(op, {&number});
  require_same_dtype(op, rows, number);
  require<ShapeError>(number.dim() == 0, "{}: {} is {}; it must be one number, 0-d", op, name,
                      number.sizes());
}

void require_positive(std::string_view op, double temperature) {
  require_option(op, "temperature", temperature, temperature > 0, "positive");
}

Tensor unit_rows(const Tensor& x) { return normalize(x, 2, -1); }

/// Of each row of a with each row of b, [N, M]. linear, because its gradients come row by row.
Tensor products(const Tensor& a, const Tensor& b) { return linear(a, b); }

/// True on the diagonal of [n, n].
Tensor on_diagonal(std::int64_t n) { return eye(n).to(kBool); }

/// Similarities of the rows to each other, of unit length, over τ; -inf to themselves.
Tensor similarities_to_others(const Tensor& rows, double temperature) {
  const Tensor units = unit_rows(rows);
  return masked_fill(products(units / temperature, units), on_diagonal(rows.size(0)),
                     -std::numeric_limits<double>::infinity());
}

}  // namespace

// Pairs of rows
// ------------------------------------------------------------------------------------

namespace {

struct NamedMode {
  NegativesMode value;
  std::string_view name;
};
constexpr NamedMode kModes[] = {{NegativesMode::shared, "shared"}, {NegativesMode::own, "own"}};

void check_negatives(const Tensor& query, const InfoNceOptions& options) {
  constexpr std::string_view op = InfoNce::op;
  const Tensor& negatives = options.negatives;
  if (!negatives.defined()) return;
  require_same_dtype(op, query, negatives);
  require<ValueError>(!options.symmetric,
                      "info_nce: `symmetric` is for the keys of the other rows; give no negatives");
  const bool own = options.negatives_mode == NegativesMode::own;
  require<ShapeError>(negatives.dim() == (own ? 3 : 2) && negatives.size(-1) == query.size(1) &&
                          (!own || negatives.size(0) == query.size(0)),
                      "info_nce: negatives are {} for queries {}; in mode '{}' they must be {}",
                      negatives.sizes(), query.sizes(), own ? "own" : "shared",
                      own ? "[N, M, D]" : "[M, D]");
}

/// The key first, then the negatives.
Tensor found_among(const Tensor& query, const Tensor& keys, const Tensor& negatives) {
  const std::int64_t rows = query.size(0);
  const Tensor right = (query * keys).sum(-1, /*keepdim=*/true);
  const Tensor wrong = negatives.dim() == 2
                           ? products(query, negatives)
                           : bmm(negatives, query.unsqueeze(2)).view({rows, negatives.size(1)});
  return cross_entropy(cat({right, wrong}, 1), zeros({rows}, kInt64));
}

}  // namespace

NegativesMode negatives_mode_from_string(std::string_view text) {
  return value_named(InfoNce::op, "negatives_mode", kModes, text);
}

Tensor info_nce(const Tensor& query, const Tensor& keys, const InfoNceOptions& options) {
  check_rows(InfoNce::op, "query", query, "keys", keys);
  require_positive(InfoNce::op, options.temperature);
  check_negatives(query, options);
  return composite<InfoNce>(
      [temperature = options.temperature, normalized = options.normalize,
       symmetric = options.symmetric](const Tensor& q, const Tensor& k, const Tensor& others) {
        const auto units = [&](const Tensor& x) { return normalized ? unit_rows(x) : x; };
        const Tensor scaled = units(q) / temperature;
        if (others.defined()) return found_among(scaled, units(k), units(others));
        const Tensor logits = products(scaled, units(k));
        return symmetric ? paired_cross_entropy(logits)
                         : cross_entropy(logits, arange(logits.size(0)));
      },
      query, keys, options.negatives);
}

Tensor clip_loss(const Tensor& image, const Tensor& text, const Tensor& log_scale) {
  check_rows(Clip::op, "image", image, "text", text);
  check_number(Clip::op, "log_scale", log_scale, image);
  return composite<Clip>(
      [](const Tensor& i, const Tensor& t, const Tensor& s) {
        return paired_cross_entropy(products(unit_rows(i) * s.exp(), unit_rows(t)));
      },
      image, text, log_scale);
}

Tensor siglip_loss(const Tensor& image, const Tensor& text, const Tensor& log_scale,
                   const Tensor& bias) {
  check_rows(Siglip::op, "image", image, "text", text);
  check_number(Siglip::op, "log_scale", log_scale, image);
  check_number(Siglip::op, "bias", bias, image);
  const std::int64_t rows = image.size(0);
  return composite<Siglip>(
      [rows, right = eye(rows, image.dtype())](const Tensor& i, const Tensor& t, const Tensor& s,
                                               const Tensor& b) {
        const Tensor z = products(unit_rows(i) * s.exp(), unit_rows(t)) + b;
        return bce_with_logits(z, right, {.reduction = Reduction::sum}) / static_cast<double>(rows);
      },
      image, text, log_scale, bias);
}

// Rows of one batch
// --------------------------------------------------------------------------------

Tensor nt_xent(const Tensor& z1, const Tensor& z2, const NtXentOptions& options) {
  check_rows(NtXent::op, "z1", z1, "z2", z2);
  require_positive(NtXent::op, options.temperature);
  const Tensor numbers = arange(z1.size(0));
  const Tensor other_view = cat({numbers + z1.size(0), numbers});
  return composite<NtXent>(
      [other_view, temperature = options.temperature](const Tensor& a, const Tensor& b) {
        return cross_entropy(similarities_to_others(cat({a, b}), temperature), other_view);
      },
      z1, z2);
}

Tensor sup_con(const Tensor& embeddings, const Tensor& labels, const SupConOptions& options) {
  constexpr std::string_view op = SupCon::op;
  require_defined(op, {&embeddings, &labels});
  if (!embeddings.is_floating_point()) refuse_dtype(op, embeddings.dtype(), "float32 or float64");
  require<DTypeError>(labels.dtype() == kInt64,
                      "sup_con: labels are {} {}; they must be int64: convert them with "
                      ".to(kInt64)",
                      labels.dtype(), labels.sizes());
  require<ShapeError>(embeddings.dim() == 2 && labels.sizes() == Shape{embeddings.size(0)},
                      "sup_con: embeddings are {}, labels {}; they must be [N, D] and [N], one "
                      "label for each row",
                      embeddings.sizes(), labels.sizes());
  require_positive(op, options.temperature);
  require_at_least_zero(op, "base_temperature", options.base_temperature);

  const Tensor alike =
      eq(labels.unsqueeze(1), labels.unsqueeze(0)) && !on_diagonal(embeddings.size(0));
  const Tensor positives = alike.sum(1, /*keepdim=*/true);
  const double anchors = static_cast<double>(count_nonzero(positives).item<std::int64_t>());
  if (anchors == 0)
    return composite<SupCon>([](const Tensor& e) { return e.slice(0, 0, 0).sum(); }, embeddings);
  const Tensor share = alike.to(embeddings.dtype()) / clamp(positives, 1).to(embeddings.dtype());
  const double base = options.base_temperature;
  const double weight = (base > 0 ? options.temperature / base : 1.0) / anchors;
  return composite<SupCon>(
      [share, weight, temperature = options.temperature](const Tensor& e) {
        return cross_entropy(similarities_to_others(e, temperature), share,
                             {.reduction = Reduction::sum}) *
               weight;
      },
      embeddings);
}

}  // namespace retrace::losses
