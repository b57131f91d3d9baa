#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/view.h>

#include <algorithm>
#include <map>

namespace retrace {
namespace {

// A dim's name: a letter, or '0' .. '7' for one that `...` stands for, '0' being the last of them.
using Labels = std::string;

bool has(const Labels& labels, char label) { return labels.find(label) != Labels::npos; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// A tensor whose dims have names, each once.
struct Term {
  Tensor tensor;
  Labels labels;
};

struct Equation {
  std::vector<Labels> operands;
  Labels result;

  Equation(std::string_view text, const std::vector<Tensor>& tensors) {
    std::string plain;
    for (const char c : text)
      if (c != ' ') plain += c;
    const std::size_t arrow = plain.find("->");
    const std::string left = plain.substr(0, arrow);
    for (std::size_t begin = 0; begin <= left.size();) {
      const std::size_t end = std::min(left.find(',', begin), left.size());
      operands.push_back(left.substr(begin, end - begin));
      begin = end + 1;
    }
    require<ValueError>(
        operands.size() == tensors.size(),
        "einsum: '{}' names {} operands, {} were given; name each, separated by ','", text,
        operands.size(), tensors.size());
    int further = 0;
    for (std::size_t i = 0; i < operands.size(); ++i)
      further = std::max(further, spread(text, operands[i], tensors[i].dim()));
    if (arrow != std::string::npos) {
      result = plain.substr(arrow + 2);
      spread(text, result, -1, further);
      for (const char label : result) {
        require<ValueError>(std::count(result.begin(), result.end(), label) == 1,
                            "einsum: '{}' has '{}' twice in the result; name each dim once", text,
                            label);
        require<ValueError>(
            std::any_of(operands.begin(), operands.end(),
                        [&](const Labels& operand) { return has(operand, label); }),
            "einsum: '{}' has '{}' in the result and in no operand; name a dim of an operand", text,
            label);
      }
    } else {
      result = implied_result(further);
    }
  }

  // Replaces `...` by names for the dims that it stands for, and says how many these are.
  static int spread(std::string_view text, Labels& labels, int rank, int stands_for = 0) {
    const std::size_t dots = labels.find("...");
    const bool found = dots != std::string::npos;
    const int named = static_cast<int>(labels.size()) - (found ? 3 : 0);
    if (rank >= 0) {
      require<ValueError>(found ? rank >= named : rank == named,
                          "einsum: '{}' names {} dims of an operand of {} dims; name every dim, or "
                          "use '...' for the others",
                          text, named, rank);
      stands_for = rank - named;
    }
    Labels names;
    for (int d = stands_for - 1; d >= 0; --d) names += static_cast<char>('0' + d);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      require<ValueError>(is_letter(labels[i]) || (found && i >= dots && i < dots + 3),
                          "einsum: '{}' has '{}' where a letter is needed; write 'ij,jk->ik'", text,
                          labels[i]);
    }
    if (found) labels.replace(dots, 3, names);
    return found ? stands_for : 0;
  }

  Labels implied_result(int further) const {
    Labels all, once;
    for (const Labels& operand : operands) all += operand;
    for (const char label : all)
      if (is_letter(label) && std::count(all.begin(), all.end(), label) == 1) once += label;
    std::sort(once.begin(), once.end());
    Labels names;
    for (int d = further - 1; d >= 0; --d) names += static_cast<char>('0' + d);
    return names + once;
  }
};

// A letter that stands twice is a diagonal; it becomes the last dim.
Term with_distinct_labels(Term term) {
  for (std::size_t i = 0; i < term.labels.size(); ++i) {
    const char label = term.labels[i];
    const std::size_t again = term.labels.find(label, i + 1);
    if (again == Labels::npos) continue;
    term.tensor = diagonal(term.tensor, 0, static_cast<int>(i), static_cast<int>(again));
    term.labels.erase(again, 1);
    term.labels.erase(i, 1);
    term.labels += label;
    i = static_cast<std::size_t>(-1);
  }
  return term;
}

Term summed(Term term, const Labels& kept) {
  Shape dims;
  Labels left;
  for (std::size_t d = 0; d < term.labels.size(); ++d) {
    if (has(kept, term.labels[d])) {
      left += term.labels[d];
    } else {
      dims.push_back(static_cast<int>(d));
    }
  }
  if (dims.empty()) return term;
  return {sum(term.tensor, dims), left};
}

// The dims in the order of `labels`, which the term all has.
Tensor arranged(const Term& term, const Labels& labels) {
  if (term.labels == labels) return term.tensor;
  Shape dims;
  for (const char label : labels)
    dims.push_back(static_cast<std::int64_t>(term.labels.find(label)));
  return permute(term.tensor, dims);
}

// As arranged, with dims of size 1 for labels that the term has not.
Tensor arranged_with_ones(const Term& term, const Labels& labels) {
  Labels present;
  for (const char label : labels)
    if (has(term.labels, label)) present += label;
  Tensor x = arranged(term, present);
  for (std::size_t d = 0; d < labels.size(); ++d)
    if (!has(present, labels[d])) x = unsqueeze(x, static_cast<std::int64_t>(d));
  return x;
}

// The dims of `a`, then those of `b`, then those of `c`, each group merged into one dim.
Tensor in_groups(const Term& term, const Labels& a, const Labels& b, const Labels& c) {
  const Tensor x = arranged(term, a + b + c);
  Shape sizes;
  int d = 0;
  for (const std::size_t count : {a.size(), b.size(), c.size()}) {
    std::int64_t merged = 1;
    for (std::size_t k = 0; k < count; ++k) merged *= x.sizes()[d++];
    sizes.push_back(merged);
  }
  return reshape(x, sizes);
}

// One term out of two, with the labels of either that are in `kept`.
Term joined(Term a, Term b, const Labels& kept) {
  a = summed(std::move(a), kept + b.labels);
  b = summed(std::move(b), kept + a.labels);
  Labels batch, inner, rows, columns;
  Shape sizes;
  for (const char label : a.labels) {
    if (!has(b.labels, label)) {
      rows += label;
    } else if (has(kept, label)) {
      batch += label;
    } else {
      inner += label;
    }
  }
  for (const char label : b.labels)
    if (!has(a.labels, label)) columns += label;
  const Labels labels = batch + rows + columns;
  if (inner.empty()) {
    return {mul(arranged_with_ones(a, labels), arranged_with_ones(b, labels)), labels};
  }
  for (const char label : labels) {
    const Term& from = has(a.labels, label) ? a : b;
    sizes.push_back(from.tensor.sizes()[static_cast<int>(from.labels.find(label))]);
  }
  const Tensor left = in_groups(a, batch, rows, inner);
  const Tensor right = in_groups(b, batch, inner, columns);
  if (batch.empty()) return {reshape(matmul(left.squeeze(0), right.squeeze(0)), sizes), labels};
  return {reshape(matmul(left, right), sizes), labels};
}

// Gives dims of one name one size: those of size 1 are repeated.
void equalise_sizes(std::string_view text, std::vector<Term>& terms) {
  std::map<char, std::int64_t> sizes;
  for (const Term& term : terms) {
    for (std::size_t d = 0; d < term.labels.size(); ++d) {
      const std::int64_t size = term.tensor.sizes()[static_cast<int>(d)];
      std::int64_t& known = sizes.try_emplace(term.labels[d], size).first->second;
      if (known == 1) known = size;
      require<ShapeError>(size == known || size == 1,
                          "einsum: '{}' has sizes {} and {} for '{}'; dims of one name must have "
                          "one size",
                          text, known, size, term.labels[d]);
    }
  }
  for (Term& term : terms) {
    Shape wanted;
    for (const char label : term.labels) wanted.push_back(sizes[label]);
    if (wanted != term.tensor.sizes()) term.tensor = expand(term.tensor, wanted);
  }
}

}  // namespace

Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands) {
  require<ValueError>(!operands.empty(), "einsum: '{}' was given no operand; give at least one",
                      equation);
  for (const Tensor& operand : operands) {
    require_defined("einsum", {&operand});
    require_same_dtype("einsum", operands[0], operand);
  }
  if (operands[0].dtype() == kBool) refuse_dtype("einsum", kBool, "float32, float64 or int64");
  const Equation parsed(equation, operands);
  std::vector<Term> terms;
  for (std::size_t i = 0; i < operands.size(); ++i)
    terms.push_back({operands[i], parsed.operands[i]});
  for (const Term& term : terms) {
    for (std::size_t d = 0; d < term.labels.size(); ++d) {
      const std::size_t again = term.labels.find(term.labels[d], d + 1);
      if (again == Labels::npos) continue;
      require<ShapeError>(
          term.tensor.sizes()[static_cast<int>(d)] == term.tensor.sizes()[static_cast<int>(again)],
          "einsum: '{}' takes a diagonal '{}' of an operand {}; both dims must "
          "have one size",
          equation, term.labels[d], term.tensor.sizes());
    }
  }
  for (Term& term : terms) term = with_distinct_labels(std::move(term));
  equalise_sizes(equation, terms);
  Term whole = terms[0];
  for (std::size_t i = 1; i < terms.size(); ++i) {
    Labels kept = parsed.result;
    for (std::size_t k = i + 1; k < terms.size(); ++k) kept += terms[k].labels;
    whole = joined(std::move(whole), terms[i], kept);
  }
  return arranged(summed(std::move(whole), parsed.result), parsed.result);
}

}  // namespace retrace
