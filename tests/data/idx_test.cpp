#include <doctest/doctest.h>

#include <retrace/data/gzip.h>
#include <retrace/data/idx.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder.put("x-idx", bytes);
  const std::string message = message_of<IoError>([&] { data::read_idx(path); });
  CHECK(message.starts_with(path + ": "));
  return message;
}

Tensor load(const std::string& bytes) {
  const TemporaryFolder folder;
  return data::read_idx(folder.put("x-idx", bytes));
}

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text.push_back(static_cast<char>(value));
  return text;
}

// Two images of 2 by 3 and their labels.
void put_pair(const TemporaryFolder& folder, const std::string& part,
              const std::string& ending = "", std::int64_t first_label = 4) {
  const Tensor images = tensor({{{0, 51, 102}, {153, 204, 255}}, {{255, 0, 0}, {0, 0, 51}}});
  data::write_idx(folder / (part + "-images-idx3-ubyte" + ending), images);
  data::write_idx(folder / (part + "-labels-idx1-ubyte" + ending),
                  tensor({first_label, std::int64_t{9}}));
}

}  // namespace

TEST_CASE("idx: all types, big-endian") {
  CHECK(load(bytes({0, 0, 0x08, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 255})).equal(tensor({{7, 255}})));
  CHECK(load(bytes({0, 0, 0x09, 1, 0, 0, 0, 2, 255, 1})).equal(tensor({-1, 1})));
  CHECK(load(bytes({0, 0, 0x0B, 1, 0, 0, 0, 1, 1, 2})).equal(tensor({258})));
  CHECK(load(bytes({0, 0, 0x0C, 1, 0, 0, 0, 1, 255, 255, 255, 254})).equal(tensor({-2})));
  CHECK(load(bytes({0, 0, 0x0D, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0})).equal(tensor({1.0})));
  CHECK(load(bytes({0, 0, 0x0E, 1, 0, 0, 0, 1, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0}))
            .equal(tensor({-1.0}, kFloat64)));
  CHECK(load(bytes({0, 0, 0x08, 2, 0, 0, 0, 0, 0, 0, 0, 5})).sizes() == Shape{0, 5});
}

TEST_CASE("idx: what is written is read, plain and packed") {
  const TemporaryFolder folder;
  for (const Tensor& x : {arange(24).view({2, 3, 4}), tensor({0.5, -2.0}), arange(3, kFloat64),
                          arange(6).view({2, 3}).t()}) {
    data::write_idx(folder / "a", x);
    CHECK(data::read_idx(folder / "a").equal(x));
    data::write_idx(folder / "a.gz", x);
    CHECK(data::read_idx(folder / "a.gz").equal(x));
  }
  CHECK(contents_of(folder / "a.gz").starts_with("\x1f\x8b"));
  CHECK_THROWS_AS(data::write_idx(folder / "a", tensor({256})), ValueError);
  CHECK_THROWS_AS(data::write_idx(folder / "a", tensor(1)), ValueError);
  CHECK_THROWS_AS(data::write_idx(folder / "a", tensor({true})), DTypeError);
}

TEST_CASE("idx: each way to be broken") {
  CHECK(says(refusal(""), "not an IDX file"));
  CHECK(says(refusal(bytes({0, 0, 8})), "not an IDX file"));
  CHECK(says(refusal("label,pixel1\n"), "not an IDX file"));
  CHECK(says(refusal(bytes({0, 0, 0x0A, 1, 0, 0, 0, 0})), "its type is 0x0a"));
  CHECK(says(refusal(bytes({0, 0, 8, 0})), "its rank is 0"));
  CHECK(says(refusal(bytes({0, 0, 8, 9})), "its rank is 9"));
  CHECK(says(refusal(bytes({0, 0, 8, 255})), "its rank is 255"));
  CHECK(says(refusal(bytes({0, 0, 8, 2, 0, 0, 0, 1})), "cut short"));
  CHECK(says(refusal(bytes({0, 0, 8, 1, 0, 0, 0, 3, 1, 2})),
             "cut short: 2 bytes of numbers, shape [3] takes 3"));
  CHECK(says(refusal(bytes({0, 0, 8, 1, 0, 0, 0, 1, 1, 2})), "too long"));
  CHECK(says(refusal(bytes({0, 0, 8, 1, 255, 255, 255, 255, 1})), "4294967295"));
  CHECK(
      says(refusal(bytes({0, 0, 0x0E, 2, 255, 255, 255, 255, 255, 255, 255, 255, 1})), "overflow"));
  CHECK(says(refusal(bytes({0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0})),
             "overflow"));
}

TEST_CASE("a folder of images and labels") {
  const TemporaryFolder folder;
  put_pair(folder, "t10k", ".gz");
  const data::TensorDataset data = data::load_idx(folder.path());
  CHECK(data.size() == 2);
  CHECK(data.inputs.sizes() == Shape{2, 6});
  CHECK(data.inputs.dtype() == kFloat32);
  CHECK(data.inputs.to_vector<float>() ==
        std::vector<float>{0.0f, 0.2f, 0.4f, 0.6f, 0.8f, 1.0f, 1.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.2f});
  CHECK(data.targets.equal(tensor({4, 9})));
  CHECK(data::load_idx(folder.path(), {.flatten = false}).inputs.sizes() == Shape{2, 2, 3});
}

TEST_CASE("the part of a folder is the training one unless it is named") {
  const TemporaryFolder folder;
  put_pair(folder, "t10k", ".gz", 1);
  put_pair(folder, "emnist", "", 2);
  const auto refused = [&](const data::IdxOptions& options) {
    return message_of<IoError>([&] { data::load_idx(folder.path(), options); });
  };
  CHECK(refused({}) == folder.path() + ": has the parts emnist, t10k; name one of them");
  put_pair(folder, "train", "", 3);
  CHECK(data::load_idx(folder.path()).targets.equal(tensor({3, 9})));
  CHECK(data::load_idx(folder.path(), {.part = "t10k"}).targets.equal(tensor({1, 9})));
  CHECK(refused({.part = "x"}) == folder.path() + ": has no part x; it has emnist, t10k, train");
  CHECK(data::idx_parts(folder.path()) == std::vector<std::string>{"emnist", "t10k", "train"});
}

TEST_CASE("a folder that holds no such data") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& path) {
    return message_of<IoError>([&] { data::load_idx(path); });
  };
  CHECK(says(refused(folder.path()), "has no pair"));
  CHECK(says(refused(folder / "none"), "none: cannot list the folder: No such file"));
  CHECK(says(refused(folder.put("file", "x")), "file: cannot list the folder: Not a directory"));
  put_pair(folder, "train");
  const std::string images = folder / "train-images-idx3-ubyte";
  const std::string labels = folder / "train-labels-idx1-ubyte";
  data::write_idx(labels, tensor({1, 2, 3}));
  CHECK(refused(folder.path()) == labels + ": 3 labels for 2 images");
  data::write_idx(labels, tensor({{1}, {2}}));
  CHECK(says(refused(folder.path()), labels + ": labels must be bytes [samples]"));
  data::write_idx(images, tensor({1.0}));
  CHECK(says(refused(folder.path()), images + ": images must be bytes"));
}

TEST_CASE("images are bytes, and nothing else is taken for them") {
  const TemporaryFolder folder;
  const Tensor pixels = arange(12).view({1, 3, 4});
  data::write_idx(folder / "x", pixels);
  CHECK(data::read_images(folder / "x").equal(pixels.to(kFloat32).div(255.0)));
  data::write_idx(folder / "x", pixels.to(kFloat32));
  CHECK(message_of<IoError>([&] { data::read_images(folder / "x"); }) ==
        folder / "x" +
            ": images must be bytes [samples, height, width], type 0x08; the type of these is "
            "0x0d, their shape [1, 3, 4]");
  data::write_idx(folder / "x", pixels.view({3, 4}));
  CHECK(says(message_of<IoError>([&] { data::read_images(folder / "x"); }), "their shape [3, 4]"));
}
