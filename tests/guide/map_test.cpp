// The map of the guide: every subject with all of its cards, and nothing that does not exist.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <retrace/catalogue/catalogue.h>
#include <retrace/catalogue/declarations.h>
#include <retrace/tests/guide/page.h>

using namespace retrace;
using catalogue::Row;

namespace {

using Cells = std::vector<std::string>;

// Rows of the tables of a page: cells without blanks around them.
std::vector<Cells> table_rows(const std::vector<std::string>& lines) {
  std::vector<Cells> rows;
  for (const std::string& line : lines) {
    if (!line.starts_with("| ")) continue;
    Cells cells;
    for (std::size_t at = 1; at < line.size();) {
      const std::size_t end = std::min(line.find('|', at), line.size());
      std::string cell = guide::without_blanks_behind(line.substr(at, end - at));
      cells.push_back(cell.substr(std::min(cell.find_first_not_of(' '), cell.size())));
      at = end + 1;
    }
    rows.push_back(cells);
  }
  return rows;
}

std::vector<std::string> in_backticks(const std::string& cell) {
  static const std::regex kName("`([^`]*)`");
  std::vector<std::string> names;
  for (std::sregex_iterator found(cell.begin(), cell.end(), kName), end; found != end; ++found)
    names.push_back((*found)[1].str());
  return names;
}

const std::map<std::string, std::string>& headers() {
  static const auto all = [] {
    std::map<std::string, std::string> of;
    for (const auto& declaration : catalogue::declarations(RETRACE_SOURCE_DIR))
      of.emplace(declaration.name, declaration.header);
    return of;
  }();
  return all;
}

std::string cell_of(const Row& row) {
  const std::string called(row.called());
  return "`" + row.name + "`" + (called == row.name ? "" : " (`" + called + "`)");
}

// The rows that a subject names, then those that name it.
std::vector<const Row*> cards_of(const catalogue::Topic& topic) {
  std::vector<const Row*> cards;
  for (const std::string& name : topic.cards) cards.push_back(catalogue::find(name));
  for (const Row& row : catalogue::rows())
    if (row.card.topic == topic.number) cards.push_back(&row);
  return cards;
}

// What is wrong with a subject's line.
std::vector<std::string> complaints(const catalogue::Topic& topic, const Cells& cells) {
  std::vector<std::string> all;
  const auto expect = [&](bool holds, const std::string& what) {
    if (!holds) all.push_back("docs/guide/map.md, § " + std::to_string(topic.number) + ": " + what);
  };
  expect(cells[1] == topic.title, "it is called '" + topic.title + "'");
  std::string cards;
  std::set<std::string> of_headers, examples;
  for (const Row* row : cards_of(topic)) {
    cards += (cards.empty() ? "" : ", ") + cell_of(*row);
    const auto header = headers().find(std::string(row->called()));
    expect(header != headers().end(), std::string(row->called()) + " is declared nowhere");
    if (header != headers().end()) of_headers.insert(header->second);
    examples.insert(row->card.example);
  }
  expect(cells[2] == cards, "its cards are " + cards);
  const auto named = in_backticks(cells[3]);
  expect(std::set(named.begin(), named.end()) == of_headers,
         "its headers are others than " + cells[3]);
  for (const std::string& command : in_backticks(cells[4])) {
    expect(command.starts_with("./run "), command + " runs no example");
    // Recipes say which program they are.
    const std::string example = command.substr(std::min<std::size_t>(6, command.size()));
    const std::string program = example.substr(0, example.find(' '));
    expect(std::filesystem::exists(std::string(RETRACE_SOURCE_DIR "/examples/") + program + ".cpp"),
           "no example is called " + program);
    expect(examples.contains(example) || !topic.cards.empty(),
           "none of its cards gives the example " + example);
  }
  return all;
}

}  // namespace

TEST_CASE("the map has every subject, with all that there is of it") {
  const auto rows = table_rows(guide::lines_of_file(RETRACE_SOURCE_DIR "/docs/guide/map.md"));
  std::map<std::string, Cells> subjects, losses;
  for (const Cells& row : rows) {
    if (row.size() == 6) CHECK(subjects.emplace(row[0], row).second);
    if (row.size() == 2) CHECK(losses.emplace(row[0], row).second);
  }
  CHECK(subjects.size() == 38 + 2);  // two lines of head
  for (const auto& topic : catalogue::topics()) {
    const std::string number = (topic.number < 10 ? "0" : "") + std::to_string(topic.number);
    REQUIRE_MESSAGE(subjects.contains(number), "§ " << number << " is missing");
    for (const std::string& complaint : complaints(topic, subjects.at(number)))
      CHECK_MESSAGE(false, complaint);
  }

  std::size_t asked = 2;
  for (const Row& row : catalogue::rows()) {
    const auto header = headers().find(std::string(row.called()));
    if (row.card.topic == 0 || header == headers().end() || !header->second.starts_with("losses/"))
      continue;
    ++asked;
    const auto line = losses.find("`" + row.name + "`");
    REQUIRE_MESSAGE(line != losses.end(), row.name << " is not among the losses");
    CHECK(line->second[1] == row.question);
  }
  CHECK(losses.size() == asked);
  CHECK(asked > 50);
}

TEST_CASE("what is wrong with a subject's line is found") {
  const auto& topics = catalogue::topics();
  const auto huber = std::find_if(topics.begin(), topics.end(),
                                  [](const auto& topic) { return topic.number == 15; });
  const Cells right = {"15",
                       "Huber's loss",
                       "`huber_loss`, `smooth_l1_loss`, `log_cosh_loss`",
                       "`losses/regression.h`",
                       "`./run quantile_regression --loss huber`",
                       ""};
  CHECK(complaints(*huber, right).empty());
  const auto count_with = [&](std::size_t cell, const std::string& text) {
    Cells wrong = right;
    wrong[cell] = text;
    return complaints(*huber, wrong).size();
  };
  CHECK(count_with(1, "Huber") == 1);
  CHECK(count_with(2, "`huber_loss`, `smooth_l1_loss`") == 1);
  CHECK(count_with(2, right[2] + ", `no_such_loss`") == 1);
  CHECK(count_with(3, "`losses/quantile.h`") == 1);
  CHECK(count_with(4, "`./run quantile_regression --loss mae`") == 1);
  CHECK(count_with(4, "`./run no_such_example`") == 2);
}
