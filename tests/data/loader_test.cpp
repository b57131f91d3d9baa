#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include <retrace/data/augment.h>
#include <retrace/data/balance.h>
#include <retrace/data/loader.h>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>
#include <cmath>

using namespace retrace;
using data::DataLoader;
using data::TensorDataset;
using testing::message_of;

namespace {

// Row i is {i, 10 i}, its target is i.
TensorDataset numbered(std::int64_t rows) {
  Tensor targets = arange(rows);
  Tensor inputs = empty({rows, 2});
  for (std::int64_t i = 0; i < rows; ++i) {
    inputs.data_ptr<float>()[2 * i] = static_cast<float>(i);
    inputs.data_ptr<float>()[2 * i + 1] = static_cast<float>(10 * i);
  }
  return {inputs, targets};
}

std::vector<std::int64_t> order_of(const TensorDataset& batch) {
  return batch.targets.to_vector<std::int64_t>();
}

std::vector<std::int64_t> epoch_of(DataLoader& loader) {
  std::vector<std::int64_t> order;
  for (const auto& [inputs, targets] : loader) {
    const auto rows = targets.to_vector<std::int64_t>();
    order.insert(order.end(), rows.begin(), rows.end());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      CHECK(inputs.data_ptr<float>()[2 * i + 1] == static_cast<float>(10 * rows[i]));
    }
  }
  return order;
}

std::vector<std::int64_t> counting(std::int64_t rows) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(rows));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

TEST_CASE("a loader without shuffling keeps the order, and its last batch is smaller") {
  DataLoader loader(numbered(7), {.batch_size = 3});
  CHECK(loader.batches() == 3);
  std::vector<std::int64_t> sizes;
  for (const auto& batch : loader) sizes.push_back(batch.size());
  CHECK(sizes == std::vector<std::int64_t>{3, 3, 1});
  CHECK(epoch_of(loader) == counting(7));
}

TEST_CASE("drop_last leaves out what does not fill a batch") {
  DataLoader loader(numbered(7), {.batch_size = 3, .drop_last = true});
  CHECK(loader.batches() == 2);
  CHECK(epoch_of(loader) == counting(6));
  CHECK(loader.next().size() == 3);
}

TEST_CASE("shuffled epochs are permutations of their own, the same for the same seed") {
  DataLoader loader(numbered(50), {.batch_size = 8, .shuffle = true, .seed = 4});
  DataLoader same(numbered(50), {.batch_size = 7, .shuffle = true, .seed = 4});
  DataLoader other(numbered(50), {.batch_size = 8, .shuffle = true, .seed = 5});
  const auto first = epoch_of(loader), second = epoch_of(loader);
  CHECK(first != second);
  for (const auto& epoch : {first, second}) {
    auto sorted = epoch;
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == counting(50));
  }
  CHECK(epoch_of(same) == first);
  CHECK(epoch_of(same) == second);
  CHECK(epoch_of(other) != first);
}

TEST_CASE("without a seed the default generator gives one") {
  const auto order = [](std::uint64_t seed) {
    manual_seed(seed);
    DataLoader loader(numbered(50), {.batch_size = 50, .shuffle = true});
    return order_of(loader.next());
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
}

TEST_CASE("next goes from epoch to epoch") {
  DataLoader loader(numbered(5), {.batch_size = 2});
  std::vector<std::int64_t> all;
  for (int i = 0; i < 6; ++i) {
    for (const std::int64_t row : order_of(loader.next())) all.push_back(row);
  }
  CHECK(all == std::vector<std::int64_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4});
  CHECK(loader.epoch() == 2);
}

TEST_CASE("a loop that was left early is followed by a new epoch") {
  DataLoader loader(numbered(6), {.batch_size = 2});
  for (const auto& batch : loader) {
    if (order_of(batch)[0] == 2) break;
  }
  CHECK(epoch_of(loader) == counting(6));
  CHECK(loader.epoch() == 2);
}

TEST_CASE("a loader that loads a state goes on where the saved one stood") {
  for (const int taken : {0, 1, 3, 6, 7, 20}) {
    CAPTURE(taken);
    DataLoader whole(numbered(20), {.batch_size = 3, .shuffle = true, .seed = 9});
    for (int i = 0; i < taken; ++i) whole.next();
    DataLoader resumed(numbered(20), {.batch_size = 3, .shuffle = true, .seed = 1});
    resumed.load_state_dict(whole.state_dict());
    CHECK(resumed.epoch() == whole.epoch());
    for (int i = 0; i < 20; ++i) CHECK(order_of(resumed.next()) == order_of(whole.next()));
  }
}

TEST_CASE("after loading, a loop first finishes the saved epoch") {
  DataLoader whole(numbered(8), {.batch_size = 2});
  whole.next();
  DataLoader resumed(numbered(8), {.batch_size = 2});
  resumed.load_state_dict(whole.state_dict());
  CHECK(epoch_of(resumed) == std::vector<std::int64_t>{2, 3, 4, 5, 6, 7});
  CHECK(epoch_of(resumed) == counting(8));
}

TEST_CASE("a state at the beginning of an epoch resumes nothing") {
  DataLoader loader(numbered(10), {.batch_size = 3}), fresh(numbered(10), {.batch_size = 3});
  loader.load_state_dict(fresh.state_dict());
  CHECK(order_of(loader.next()) == std::vector<std::int64_t>{0, 1, 2});
  CHECK(epoch_of(loader) == counting(10));  // of its own, not what is left
}

TEST_CASE("a state of other data is refused and changes nothing") {
  DataLoader loader(numbered(8), {.batch_size = 2});
  loader.next();
  DataLoader smaller(numbered(7), {.batch_size = 2}), wider(numbered(8), {.batch_size = 3});
  CHECK(message_of<ValueError>([&] {
          smaller.load_state_dict(loader.state_dict());
        }).find("rows 8, not 7") != std::string::npos);
  CHECK_THROWS_AS(wider.load_state_dict(loader.state_dict()), ValueError);
  StateDict state = loader.state_dict();
  state["position"] = tensor(8);
  CHECK_THROWS_AS(loader.load_state_dict(state), ValueError);
  state["position"] = tensor(-1);
  CHECK_THROWS_AS(loader.load_state_dict(state), ValueError);
  state.erase("position");
  CHECK(message_of<ValueError>([&] { loader.load_state_dict(state); }).find("position") !=
        std::string::npos);
  CHECK(order_of(loader.next()) == std::vector<std::int64_t>{2, 3});
}

TEST_CASE("a state of another kind of loader is refused, which says what differs") {
  const auto refusal = [](const data::DataLoaderOptions& saved,
                          const data::DataLoaderOptions& options) {
    DataLoader whole(numbered(7), saved), other(numbered(7), options);
    whole.next();
    const StateDict before = other.state_dict();
    const std::string message =
        message_of<ValueError>([&] { other.load_state_dict(whole.state_dict()); });
    for (const auto& [name, value] : other.state_dict())
      CHECK((message.empty() || value.equal(before.at(name))));
    return message;
  };
  const data::DataLoaderOptions plain = {.batch_size = 2};
  CHECK(refusal({.batch_size = 2, .shuffle = true, .drop_last = true}, plain) ==
        "DataLoader: the state is of another loader, with shuffle 1, not 0; drop_last 1, not 0; "
        "give this one the same data and options");
  const auto weighted = [](const Tensor& weights) {
    return data::DataLoaderOptions{.batch_size = 2, .seed = 1, .weights = weights};
  };
  const std::string differs = "with checksum_of_weights ";
  CHECK(refusal(weighted(ones({7})), plain).find(differs) != std::string::npos);
  CHECK(refusal(plain, weighted(ones({7}))).find(differs + "0, not ") != std::string::npos);
  CHECK(refusal(weighted(ones({7})), weighted(arange(7).to(kFloat32))).find(differs) !=
        std::string::npos);
  CHECK(refusal(weighted(ones({7})), weighted(ones({7}))).empty());
}

TEST_CASE("epochs have orders of their own, however many there are") {
  DataLoader loader(numbered(50), {.batch_size = 50, .shuffle = true, .seed = 4});
  StateDict state = loader.state_dict();
  const auto order = [&](std::int64_t epoch) {
    state["epoch"] = tensor(epoch);
    loader.load_state_dict(state);
    return order_of(loader.next());
  };
  std::set<std::vector<std::int64_t>> orders;
  const std::int64_t many = std::int64_t{1} << 24;
  for (const std::int64_t epoch : {std::int64_t{0}, std::int64_t{1}, many - 1, many, many + 1,
                                   2 * many, 3 * many, many << 24, many << 38})
    orders.insert(order(epoch));
  CHECK(orders.size() == 9);
  // Those of seed and epoch alone, as runs that go on rely on.
  for (const std::int64_t epoch : {std::int64_t{0}, std::int64_t{5}, many - 1}) {
    Generator generator;
    generator.set_state(4, static_cast<std::uint64_t>(epoch) << 40);
    CHECK(order(epoch) == randperm(50, &generator).to_vector<std::int64_t>());
  }
}

TEST_CASE("a loop whose loader was moved in its body says so") {
  const auto refusal = [](std::int64_t rows, auto&& body) {
    DataLoader loader(numbered(rows), {.batch_size = 2});
    int batches = 0;
    const std::string message = message_of<ValueError>([&] {
      for (const auto& batch : loader) {
        ++batches;
        body(loader, batch);
      }
    });
    CHECK(batches == 1);
    return message;
  };
  const auto nested = [](DataLoader& loader, const auto&) { epoch_of(loader); };
  CHECK(refusal(6, nested) ==
        "DataLoader: a loop over epoch 0 left the loader at row 2 of epoch 0 and finds it at row 0 "
        "of epoch 2: another loop, next() or load_state_dict() moved it; give that a loader of its "
        "own");
  CHECK(refusal(2, nested).find("finds it at row 0 of epoch 2") != std::string::npos);
  CHECK(refusal(6, [](DataLoader& loader, const auto&) { loader.next(); }).find("next()") !=
        std::string::npos);
  CHECK(refusal(6, [](DataLoader& loader, const auto&) {
          for (const auto& batch : loader) {
            CHECK(order_of(batch)[0] == 0);  // the inner one is sound
            break;
          }
        }).find("finds it at row 2 of epoch 1") != std::string::npos);
  CHECK(refusal(6, [](DataLoader& loader, const auto&) {
          StateDict state = loader.state_dict();
          state["position"] = tensor(4);
          loader.load_state_dict(state);
        }).find("load_state_dict()") != std::string::npos);
}

TEST_CASE("between loops next() may move the loader") {
  DataLoader loader(numbered(6), {.batch_size = 2});
  CHECK(epoch_of(loader) == counting(6));
  CHECK(order_of(loader.next()) == std::vector<std::int64_t>{0, 1});
  CHECK(epoch_of(loader) == counting(6));
}

TEST_CASE("rows drawn by weight come as often as they weigh, every epoch anew") {
  const Tensor weights = tensor({0.0, 1.0, 3.0, 4.0});
  DataLoader loader(numbered(4), {.batch_size = 3, .seed = 2, .weights = weights});
  CHECK(loader.batches() == 2);
  constexpr int kEpochs = 5000;
  std::vector<double> counts(4);
  std::set<std::vector<std::int64_t>> epochs;
  for (int i = 0; i < kEpochs; ++i) {
    const auto epoch = epoch_of(loader);
    CHECK(epoch.size() == 4);
    epochs.insert(epoch);
    for (const std::int64_t row : epoch) counts[static_cast<std::size_t>(row)] += 1;
  }
  CHECK(epochs.size() > 70);  // of the 81 ways to draw four times from three rows
  for (std::size_t row = 0; row < 4; ++row) {
    const double p = weights[static_cast<std::int64_t>(row)].item<double>() / 8;
    const double n = 4.0 * kEpochs;
    CHECK(std::abs(counts[row] / n - p) <= 5 * std::sqrt(p * (1 - p) / n));
  }
}

TEST_CASE("a weighted loader that loads a state gives the batches that the saved one would have") {
  const Tensor weights = arange(20).to(kFloat64);
  DataLoader whole(numbered(20), {.batch_size = 3, .seed = 9, .weights = weights});
  for (int i = 0; i < 9; ++i) whole.next();
  DataLoader resumed(numbered(20), {.batch_size = 3, .seed = 1, .weights = weights});
  resumed.load_state_dict(whole.state_dict());
  for (int i = 0; i < 20; ++i) CHECK(order_of(resumed.next()) == order_of(whole.next()));
  // The seed comes from the default generator when none is given.
  const auto first = [&](std::uint64_t seed) {
    manual_seed(seed);
    return order_of(DataLoader(numbered(20), {.batch_size = 20, .weights = weights}).next());
  };
  CHECK(first(1) == first(1));
  CHECK(first(1) != first(2));
}

TEST_CASE("weights that cannot be drawn by are refused") {
  const auto loader = [](const Tensor& weights) {
    DataLoader(numbered(3), {.batch_size = 1, .weights = weights});
  };
  CHECK(message_of<ShapeError>([&] { loader(ones({4})); }).find("[3]") != std::string::npos);
  CHECK_THROWS_AS(loader(ones({3, 1})), ShapeError);
  CHECK_THROWS_AS(loader(zeros({3})), ValueError);
  CHECK_THROWS_AS(loader(tensor({1.0, -1.0, 1.0})), ValueError);
  CHECK_THROWS_AS(loader(tensor({1.0, std::nan(""), 1.0})), ValueError);
  CHECK_THROWS_AS(loader(ones({3}, kInt64)), DTypeError);
}

TEST_CASE("rare classes weigh more, and drawn by that weight all come as often") {
  const Tensor labels = tensor({2, 0, 2, 2, 2, 0, 0, 0, 0, 2, 3, 2, 2});
  const Tensor counts = data::class_counts(labels, 4);
  CHECK(counts.equal(tensor({5, 0, 7, 1})));
  const auto weights = data::class_weights(counts).to_vector<double>();
  const double scale = 3 / (1.0 / 5 + 1.0 / 7 + 1);
  const std::vector<double> expected = {scale / 5, 0, scale / 7, scale};
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(weights[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  CHECK(data::class_weights(tensor({3, 3})).equal(ones({2})));

  const Tensor rows =
      data::take_rows(data::class_weights(counts), labels.to_vector<std::int64_t>());
  DataLoader loader({labels, labels}, {.batch_size = 13, .seed = 0, .weights = rows});
  std::vector<double> drawn(4);
  for (int i = 0; i < 1000; ++i) {
    for (const std::int64_t label : order_of(loader.next()))
      drawn[static_cast<std::size_t>(label)] += 1;
  }
  CHECK(drawn[1] == 0);
  for (const std::size_t label : {0u, 2u, 3u}) {
    CHECK(std::abs(drawn[label] / 13000 - 1.0 / 3) < 5 * std::sqrt(2.0 / 9 / 13000));
  }

  CHECK_THROWS_AS(data::class_counts(tensor({4}), 4), IndexError);
  CHECK_THROWS_AS(data::class_counts(tensor({-1}), 4), IndexError);
  CHECK_THROWS_AS(data::class_counts(tensor({1.0}), 4), DTypeError);
  CHECK_THROWS_AS(data::class_counts(tensor({1}), 0), ValueError);
  CHECK_THROWS_AS(data::class_weights(tensor({0, 0})), ValueError);
  CHECK_THROWS_AS(data::class_weights(tensor({1, -1})), ValueError);
  CHECK_THROWS_AS(data::class_weights(ones({2, 2}, kInt64)), ShapeError);
}

TEST_CASE("a batch is a copy") {
  const TensorDataset dataset = numbered(4);
  DataLoader loader(dataset, {.batch_size = 4});
  TensorDataset batch = loader.next();
  batch.inputs.fill_(-1.0);
  CHECK(order_of(dataset) == counting(4));
  CHECK(dataset.inputs.data_ptr<float>()[1] == 0.0f);
  CHECK(dataset.inputs.data_ptr<float>()[7] == 30.0f);
}

TEST_CASE("a loader over strided, whole-number and wide rows") {
  Tensor inputs = arange(24).view({2, 3, 4}).transpose(0, 1);  // [3, 2, 4]
  DataLoader loader({inputs, tensor({true, false, true})}, {.batch_size = 2});
  const auto [x, y] = loader.next();
  CHECK(x.equal(inputs.narrow(0, 0, 2)));
  CHECK(y.equal(tensor({true, false})));
}

TEST_CASE("what a loader cannot do, it says when it is made") {
  CHECK(message_of<ValueError>([] {
          DataLoader(numbered(4), {.batch_size = 0});
        }).find("batch_size") != std::string::npos);
  CHECK_THROWS_AS(DataLoader(numbered(4), {.batch_size = -3}), ValueError);
  CHECK(message_of<ValueError>([] { DataLoader(numbered(0), {.batch_size = 1}); }).find("[0, 2]") !=
        std::string::npos);
  CHECK(message_of<ValueError>([] {
          DataLoader(numbered(4), {.batch_size = 5, .drop_last = true});
        }).find("drop_last") != std::string::npos);
  CHECK_THROWS_AS(DataLoader({}, {.batch_size = 1}), ValueError);
  CHECK(message_of<ShapeError>([] {
          DataLoader({zeros({3, 2}), zeros({4})}, {.batch_size = 1});
        }).find("[3, 2]") != std::string::npos);
  CHECK_THROWS_AS(DataLoader({tensor(1.0), tensor(1.0)}, {.batch_size = 1}), ShapeError);
  DataLoader huge(numbered(4), {.batch_size = std::numeric_limits<std::int64_t>::max()});
  CHECK(huge.batches() == 1);
  CHECK(huge.next().size() == 4);
}

TEST_CASE("rows can be taken in any order, and more than once") {
  const TensorDataset part = numbered(5).subset({4, 0, 4});
  CHECK(part.targets.equal(tensor({4, 0, 4})));
  CHECK(part.inputs.equal(tensor({{4.0, 40.0}, {0.0, 0.0}, {4.0, 40.0}})));
  CHECK(numbered(5).subset({}).size() == 0);
  CHECK_THROWS_AS(numbered(5).subset({5}), IndexError);
  CHECK_THROWS_AS(numbered(5).subset({-1}), IndexError);
  const TensorDataset uneven{zeros({5, 2}), zeros({6})};
  CHECK(message_of<ShapeError>([&] { uneven.subset({0}); }).find("subset: inputs [5, 2] and") !=
        std::string::npos);
  CHECK_THROWS_AS(data::take_rows(tensor(1.0), {0}), ShapeError);
}

TEST_CASE("batches of a dataset are its rows in order") {
  std::vector<std::vector<std::int64_t>> found;
  for (const TensorDataset& batch : numbered(5).batches(2)) found.push_back(order_of(batch));
  CHECK(found == std::vector<std::vector<std::int64_t>>{{0, 1}, {2, 3}, {4}});
  CHECK(numbered(5).batches(1).size() == 5);
  CHECK(numbered(0).batches(2).empty());
  CHECK_THROWS_AS(numbered(5).batches(0), ValueError);
  for (const std::int64_t targets : {4, 6}) {
    CHECK(message_of<ShapeError>([&] {
            TensorDataset{zeros({5, 2}), zeros({targets})}.batches(2);
          }).find("batches: inputs [5, 2] and targets") != std::string::npos);
  }
}

TEST_CASE("a split shares no row and leaves none out") {
  const data::Split split = numbered(10).split(0.25, 3);  // 2.5 rows are rounded up
  CHECK(split.test.size() == 3);
  CHECK(split.train.size() == 7);
  std::set<std::int64_t> seen;
  for (const auto* part : {&split.train, &split.test}) {
    for (const std::int64_t row : order_of(*part)) seen.insert(row);
  }
  CHECK(seen.size() == 10);
  CHECK(order_of(numbered(10).split(0.25, 3).test) == order_of(split.test));
  CHECK(order_of(numbered(1000).split(0.5, 3).test) != order_of(numbered(1000).split(0.5, 4).test));
  for (const double fraction : {0.0, 1.0, -0.1, std::nan(""), 0.01, 0.99}) {
    CHECK_THROWS_AS(numbered(10).split(fraction, 0), ValueError);
  }
  CHECK_THROWS_AS(data::split_rows(0, 0.5, 0), ValueError);
}

TEST_CASE("shifted images hold the same picture elsewhere") {
  Tensor images = zeros({200, 5, 6});
  for (std::int64_t i = 0; i < 200; ++i) images[i][2][3] = 7.0;
  Generator generator(1), same(1);
  const Tensor moved = data::random_shift(images, 2, generator);
  CHECK(moved.equal(data::random_shift(images, 2, same)));
  std::set<std::int64_t> places;
  for (std::int64_t i = 0; i < 200; ++i) {
    CHECK(moved[i].sum().item<float>() == 7.0f);
    std::int64_t place = 0;
    while (moved.data_ptr<float>()[i * 30 + place] == 0.0f) ++place;
    CHECK(std::abs(place / 6 - 2) <= 2);
    CHECK(std::abs(place % 6 - 3) <= 2);
    places.insert(place);
  }
  CHECK(places.size() == 25);
  CHECK(data::random_shift(images, 0, generator).equal(images));
  CHECK(data::random_shift(images.transpose(1, 2), 0, generator).equal(images.transpose(1, 2)));
  // Further than the image is large: nothing of it may be left.
  const Tensor gone = data::random_shift(ones({100, 2, 2}), 9, generator);
  CHECK(gone.sum().item<float>() < 100.0f);
  Generator one(5), other(5);
  CHECK(data::random_shift(images.unsqueeze(1), 2, one)
            .squeeze(1)
            .equal(data::random_shift(images, 2, other)));
  // The channels of an image stay one upon the other.
  const Tensor channels = images.unsqueeze(1).expand({-1, 3, -1, -1});
  const Tensor grey = data::random_shift(images, 2, one);
  CHECK(data::random_shift(channels, 2, other).equal(grey.unsqueeze(1).expand({-1, 3, -1, -1})));
  CHECK(data::random_shift(zeros({2, 0, 4, 4}), 1, generator).sizes() == Shape{2, 0, 4, 4});
  CHECK_THROWS_AS(data::random_shift(zeros({4, 4}), 1, generator), ShapeError);
  CHECK_THROWS_AS(data::random_shift(zeros({4, 4, 4}), -1, generator), ValueError);
}
