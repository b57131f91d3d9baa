#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>
#include <retrace/tests/train/process.h>
#include <retrace/tests/train/session.h>

using namespace retrace;
using testing::contents_of;
using testing::json_lines;
using testing::Session;
using testing::TemporaryFolder;

namespace {

// Rows with a weight each beside their features; a few weigh as much as all the others.
data::TensorDataset weighted_rows(std::int64_t rows) {
  Generator generator(5);
  const Tensor inputs = randn({rows, 3}, kFloat32, &generator);
  const Tensor weight = (3 * randn({rows, 1}, kFloat32, &generator)).exp();
  return {cat({inputs, weight}, 1), inputs.square().sum(1, true)};
}

Tensor errors(const nn::Linear& model, const Tensor& rows, const Tensor& y) {
  return (model(rows.narrow(1, 0, 3)) - y).square();
}

train::BatchLoss weighted(const nn::Linear& model, const Tensor& rows, const Tensor& y) {
  const Tensor weight = rows.narrow(1, 3, 1), all = weight.sum();
  return {(errors(model, rows, y) * weight).sum() / all, all.item<double>()};
}

}  // namespace

TEST_CASE("the validation loss is the mean over all samples held out, whatever those are") {
  const data::TensorDataset rows = weighted_rows(3000);
  const data::TensorDataset held_out = rows.split(0.5, 0).test;
  REQUIRE(held_out.size() == 1500);  // more than one batch of validation
  for (const bool weighs : {true, false}) {
    const TemporaryFolder folder;
    Session session({"--json", folder / "steps", "--steps", "1"});
    nn::Linear model(3, 1);
    const auto loss = [&](const Tensor& x, const Tensor& y) -> train::BatchLoss {
      return weighs ? weighted(model, x, y) : errors(model, x, y).mean();
    };
    train::fit(*session.run, model, rows, {.batch_size = 32, .validation_fraction = 0.5}, loss);
    session.run.reset();
    const auto last = json_lines(contents_of(folder / "steps")).back();
    REQUIRE(last["event"] == "validation");
    CHECK(
        last["validation_loss"].get<double>() ==
        doctest::Approx(loss(held_out.inputs, held_out.targets).loss.item<double>()).epsilon(1e-5));
  }
}

TEST_CASE("a loss that says nothing of its samples is one of rows") {
  const data::TensorDataset rows = weighted_rows(10);
  const auto samples = [](const train::Rows& of, const train::Recipe& recipe, bool counts) {
    Session session({});
    nn::Linear model(3, 1);
    train::fit(*session.run, model, of, recipe,
               [&](const Tensor& x, const Tensor& y) -> train::BatchLoss {
                 if (counts) return {errors(model, x, y).mean(), 0.25};
                 return errors(model, x, y).mean();
               });
    return session.run->training_samples();
  };
  const auto fresh = [](std::int64_t count) { return weighted_rows(count); };
  CHECK(samples(rows, {.epochs = 3, .batch_size = 4}, false) == 30);  // 4 + 4 + 2 a time
  CHECK(samples(fresh, {.steps = 5, .batch_size = 7}, false) == 35);
  CHECK(samples(fresh, {.steps = 5, .batch_size = 7}, true) == 1.25);
}
