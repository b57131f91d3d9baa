// A table: refused with a message that begins with the path, or columns as long as it has rows,
// which can be learnt, encoded, kept as JSON and used again.

#include <cmath>
#include <numeric>

#include <retrace/autograd/ops/comparison.h>
#include <retrace/data/csv.h>
#include <retrace/data/outputs.h>
#include <retrace/data/table_encoder.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

namespace {

void check(const data::Table& table) {
  const auto rows = static_cast<std::size_t>(table.rows());
  fuzz::expect(table.names.size() == table.columns.size(), "a column for each name");
  for (const data::Column& column : table.columns) {
    fuzz::expect(column.missing.size() == rows, "a column is as long as the table");
    fuzz::expect((column.is_text ? column.texts.size() : column.numbers.size()) == rows,
                 "a column is as long as the table");
    for (std::size_t row = 0; !column.is_text && row < rows; ++row)
      fuzz::expect(std::isfinite(column.numbers[row]) != column.missing[row],
                   "a number is finite, or missing");
  }
  if (table.names_are_numbers()) {
    data::Table named = table;
    named.names.back() = "name";
    fuzz::expect(!named.names_are_numbers(), "a name is no number");
  }
}

template <class Outputs>
void check_json(const Outputs& learnt) {
  const std::string json = learnt.to_json();
  fuzz::expect(fuzz::accepted([&] { return Outputs::from_json(json).to_json(); }) == json,
               "what was learnt is kept: {}", json);
}

void learn(const data::Table& table) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(table.rows()));
  std::iota(rows.begin(), rows.end(), 0);
  const std::string& first = table.names.front();
  fuzz::accepts(table.path, [&] {
    const data::TableEncoder encoder(table, rows, {});
    const Tensor features = fuzz::accepted([&] { return encoder.encode(table); });
    fuzz::expect(features.sizes() == Shape{table.rows(), encoder.features()}, "features by row");
    fuzz::expect(retrace::isfinite(features).all().item<bool>(), "features are finite");
    check_json(encoder);
    const Tensor again = fuzz::accepted(
        [&] { return data::TableEncoder::from_json(encoder.to_json()).encode(table); });
    fuzz::expect(fuzz::same_bits(features, again), "what was kept encodes alike");
  });
  fuzz::accepts(table.path, [&] {
    const data::ClassNames classes(table, first);
    fuzz::accepted([&] { return classes.encode(table); });
    check_json(classes);
  });
  fuzz::accepts(table.path, [&] {
    const data::TargetScale target(table, first, rows);
    fuzz::accepted([&] { return target.encode(table); });
    check_json(target);
  });
  fuzz::accepts(table.path, [&] {
    const data::LabelNames labels(table, 1);
    labels.encode(table);
    check_json(labels);
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  const data::UnpackLimits limits = {.bytes = 1 << 16};
  const data::CsvOptions ways[] = {{.limits = limits},
                                   {.header = false, .text_columns = {"1"}, .limits = limits},
                                   {.separator = ';', .numbers_only = true, .limits = limits}};
  // One way to an input: three would be three times as slow.
  fuzz::accepts(path, [&] {
    const data::Table table = data::read_csv(path, ways[size % std::size(ways)]);
    check(table);
    fuzz::expect(table.contains("absent") || !fuzz::accepts(path, [&] { table.column("absent"); }),
                 "a column that is not there is refused");
    if (table.rows() > 0) learn(table);
  });
  return 0;
}
