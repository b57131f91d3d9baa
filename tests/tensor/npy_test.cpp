#include <doctest/doctest.h>

#include <bit>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/npy.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

// A version 1.0 file.
std::string file_of(const std::string& header, const std::string& data = "") {
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size() & 255) +
         static_cast<char>(header.size() >> 8) + header + data;
}

std::string header_of(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }\n";
}

std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder.put("x.npy", bytes);
  const std::string message = message_of<IoError>([&] { load_npy(path); });
  CHECK(message.starts_with(path + ": "));
  return message;
}

Tensor load(const std::string& bytes) {
  const TemporaryFolder folder;
  return load_npy(folder.put("x.npy", bytes));
}

}  // namespace

TEST_CASE("npy: what is saved is loaded") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  manual_seed(2);
  const Tensor x = randn({3, 4, 5});
  for (const Tensor& saved :
       {x, x.transpose(0, 2), x.slice(1, 0, 4, 3), randn({7}, kFloat64), arange(5),
        tensor({{true}, {false}}), full({}, 2.5), empty({0, 3}), zeros({1, 1, 1, 1, 1, 1, 1, 1})}) {
    save_npy(path, saved);
    CHECK(load_npy(path).equal(saved));
    CHECK(load_npy(path).is_contiguous());
  }
  CHECK(folder.files() == 1);
  CHECK_THROWS_AS(save_npy(path, Tensor()), ValueError);
  CHECK(says(message_of<IoError>([&] { save_npy(folder / "no/x", x); }), "no/x: "));
}

TEST_CASE("npy: the bytes are NumPy's") {
  const TemporaryFolder folder;
  save_npy(folder / "x", tensor({1.0, 2.0, 3.0}));
  const std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
  const std::string expected = std::string("\x93NUMPY\1\0v\0", 10) + text +
                               std::string(128 - 10 - text.size() - 1, ' ') + "\n" +
                               std::string("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40", 12);
  CHECK(contents_of(folder / "x") == expected);
  save_npy(folder / "x", zeros({2, 3}, kBool));
  CHECK(says(contents_of(folder / "x"),
             "'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }"));
  save_npy(folder / "x", zeros({}, kInt64));
  CHECK(says(contents_of(folder / "x"), "'descr': '<i8', 'fortran_order': False, 'shape': (), }"));
}

TEST_CASE("npy: versions, byte orders, element types, Fortran order") {
  const std::string data("\0\1\0\2", 4);
  CHECK(load(file_of(header_of(">i2", "(2,)"), data)).equal(tensor({1, 2})));
  CHECK(load(file_of(header_of("<i2", "(2,)"), data)).equal(tensor({256, 512})));
  CHECK(load(file_of(header_of("|u1", "(2, 2)"), data)).equal(tensor({{0, 1}, {0, 2}})));
  CHECK(load(file_of(header_of("|u1", "(2, 2)", true), data)).equal(tensor({{0, 0}, {1, 2}})));
  CHECK(load(file_of(header_of("|i1", "(4,)"), "\xff\1\2\3")).equal(tensor({-1, 1, 2, 3})));
  CHECK(load(file_of(header_of(">f4", "()"), std::string("\x3f\x80\0\0", 4))).equal(tensor(1.0)));
  CHECK(load(file_of(header_of("<f2", "(1,)"), std::string("\0\x3c", 2))).equal(tensor({1.0})));
  CHECK(load(file_of(header_of("=u4", "(1,)"), std::string("\1\0\0\0", 4))).equal(tensor({1})));
  CHECK(load(file_of(header_of("<u8", "(1L,)"), std::string("\7\0\0\0\0\0\0\0", 8)))
            .equal(tensor({7})));
  CHECK(load(file_of(R"({"shape":(1,),"fortran_order":False,"descr":"|b1"})", "\1"))
            .equal(tensor({true})));

  // Element [i, j, k] is number i + 2 j + 6 k.
  CHECK(load(file_of(header_of("|u1", "(2, 3, 2)", true),
                     std::string("\0\1\2\3\4\5\6\7\x8\x9\xa\xb", 12)))
            .equal(tensor({{{0, 6}, {2, 8}, {4, 10}}, {{1, 7}, {3, 9}, {5, 11}}})));

  const std::string header = header_of("|u1", "(1,)");
  for (const char version : {'\2', '\3'}) {
    CHECK(load(std::string("\x93NUMPY") + version + '\0' + static_cast<char>(header.size()) +
               std::string(3, '\0') + header + "\5")
              .equal(tensor({5})));
  }
}

TEST_CASE("npy: each way to be broken") {
  CHECK(says(refusal(""), "only 0 bytes"));
  CHECK(says(refusal("\x93NUMPY\1"), "only 7 bytes"));
  CHECK(says(refusal("a text that is not an array"), "not an npy file"));
  CHECK(says(refusal(std::string("\x93NUMPY\4\0\0\0\0\0", 12)), "version 4.0"));
  CHECK(says(refusal(std::string("\x93NUMPY\2\0\xff\xff\xff\xff", 12)), "4294967295 bytes"));
  CHECK(says(refusal(std::string("\x93NUMPY\2\0\0\0", 10)), "cut short"));
  CHECK(says(refusal(file_of("{")), "malformed"));
  CHECK(says(refusal(file_of("")), "malformed"));
  CHECK(says(refusal(file_of("{}")), "lacks"));
  CHECK(says(refusal(file_of("{'descr': '<f4', 'fortran_order': False}", "1234")), "lacks"));
  CHECK(says(refusal(file_of("{'descr': '<f4', 'shape': (1,)}", "1234")), "lacks"));
  CHECK(says(refusal(file_of("{'fortran_order': False, 'shape': (1,)}", "1234")), "lacks"));
  CHECK(says(refusal(file_of("{'descr': '<f4', 'descr': '<f4'}")), "twice"));
  CHECK(says(refusal(file_of("{'strides': 3}")), "'strides'"));
  CHECK(says(refusal(file_of(header_of("<f4", "(1,)") + "x", "1234")), "goes on"));
  CHECK(says(refusal(file_of(header_of("|O", "(1,)"), "1234")), "Python objects"));
  CHECK(says(refusal(file_of("{'descr': [('x', '<f4')], }")), "structures"));
  CHECK(says(refusal(file_of(header_of("<U5", "(1,)"), "1234")), "'<U5' is not supported"));
  CHECK(says(refusal(file_of(header_of("<c8", "(1,)"), "12345678")), "'<c8'"));
  CHECK(says(refusal(file_of(header_of("", "(1,)"), "1234")), "''"));
  CHECK(says(refusal(file_of(header_of("<f4", "(-1,)"))), "expected a size"));
  CHECK(says(refusal(file_of(header_of("<f4", "(1.5,)"))), "expected )"));
  CHECK(says(refusal(file_of(header_of("<f4", "(x,)"))), "expected a size"));
  CHECK(says(refusal(file_of(header_of("<f4", "1"))), "expected ("));
  CHECK(says(refusal(file_of(header_of("<f4", "(99999999999999999999,)"))), "overflows"));
  CHECK(says(refusal(file_of(header_of("<f4", "(4611686018427387904, 4)"))), "overflow"));
  CHECK(
      says(refusal(file_of(header_of("<f4", "(1,1,1,1,1,1,1,1,1)"), "1234")), "more than 8 dims"));
  CHECK(says(refusal(file_of(header_of("<f4", "(2,)"), "1234567")), "takes 8"));
  CHECK(says(refusal(file_of(header_of("<f4", "(2,)"), "123456789")), "takes 8"));
  CHECK(
      says(refusal(file_of(header_of("<u8", "(1,)"), "\xff\xff\xff\xff\xff\xff\xff\xff")), "2^63"));
  CHECK(says(refusal(file_of(header_of("|b1", "(1,)"), "\5")), "neither true nor false"));
  CHECK(says(refusal(std::string("\x93NUMPY\2\0\0\0\2\0", 12) + std::string(1 << 17, ' ')),
             "more than"));
}
