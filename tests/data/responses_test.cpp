#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>

#include <vector>

using namespace retrace;

TEST_CASE("responses stand behind the prompt half of the rows further on") {
  // Of unequal lengths, one cut off.
  const data::Responses texts = {tensor({{1, 2, 3, 4}, {1, 7, 0, 0}, {5, 6, 8, 0}, {9, 9, 9, 4}}),
                                 tensor({{false, false, true, true},
                                         {false, true, false, false},
                                         {false, true, true, false},
                                         {false, false, false, true}})};
  const data::Responses moved = data::mispaired(texts);
  CHECK(moved.tokens.flatten().to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{5, 3, 4, 0, 9, 9, 9, 7, 1, 2, 6, 8, 1, 4, 0, 0});
  CHECK(moved.mask.flatten().to_vector<bool>() ==
        std::vector<bool>{false, true, true, false, false, false, false, true, false, false, true,
                          true, false, true, false, false});
  // The number of rows is odd, and a prompt comes twice.
  const data::Responses three = {tensor({{1, 5}, {2, 6}, {1, 7}}),
                                 tensor({{false, true}, {false, true}, {false, true}})};
  CHECK(data::mispaired(three).tokens.flatten().to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{2, 5, 1, 6, 2, 7});
  const data::Responses one = {tensor({{1, 5}, {1, 6}, {1, 7}}),
                               tensor({{false, true}, {false, true}, {false, true}})};
  CHECK(testing::message_of<ValueError>([&] {
          data::mispaired(one);
        }).starts_with("mispaired: all 3 responses are to one prompt"));
}

TEST_CASE("the last token of each response, also of a mask that is strided") {
  const Tensor mask = tensor({{false, true, false}, {true, false, true}, {false, false, false}});
  const std::vector<std::int64_t> expected = {1, 2, 0};
  const data::Responses dense = {zeros({3, 3}, kInt64), mask};
  CHECK(dense.last().to_vector<std::int64_t>() == expected);
  const data::Responses turned = {zeros({3, 3}, kInt64), mask.t().contiguous().t()};
  REQUIRE_FALSE(turned.mask.is_contiguous());
  CHECK(turned.last().to_vector<std::int64_t>() == expected);
  const data::Responses narrowed = {zeros({3, 3}, kInt64),
                                    cat({zeros({3, 2}, kBool), mask}, 1).narrow(1, 2, 3)};
  CHECK(narrowed.last().to_vector<std::int64_t>() == expected);
}
