#include <retrace/tools/screen.h>

#ifdef RETRACE_HAVE_NCURSES

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <memory>

#include <curses.h>

#include <fmt/format.h>

namespace retrace::tools {
namespace {

constexpr const char* kKeys =
    "n/p step  N/P in node  g go to  / search  c module  t tensor  q quit";

std::wstring wide(const std::string& text) {
  std::wstring result(text.size(), L'\0');
  const std::size_t length = std::mbstowcs(result.data(), text.c_str(), result.size());
  if (length == static_cast<std::size_t>(-1)) return std::wstring(text.begin(), text.end());
  result.resize(length);
  return result;
}

int columns_of(wchar_t c) { return std::max(0, wcwidth(c)); }

// Lines of at most `columns` columns; what is too long goes on, indented, after a space if it can.
std::vector<std::wstring> wrapped(const std::wstring& text, int columns) {
  std::vector<std::wstring> lines;
  std::wstring line;
  int used = 0;
  std::size_t space = 0;  // position after the last one of the line; 0: none
  const auto finish = [&](const std::wstring& rest) {
    lines.push_back(line);
    line = rest;
    used = 0;
    space = 0;
    for (const wchar_t c : line) used += columns_of(c);
  };
  for (const wchar_t c : text) {
    if (c == L'\n') {
      finish(L"");
      continue;
    }
    if (used + columns_of(c) > columns) {
      const std::wstring indent(columns > 20 ? 4 : 0, L' ');
      const std::wstring rest = space > 5 ? line.substr(space) : L"";
      if (space > 5) line.resize(space);
      finish(indent + rest);
    }
    line += c;
    used += columns_of(c);
    if (c == L' ' && line.find_first_not_of(L' ') != std::wstring::npos) space = line.size();
  }
  finish(L"");
  return lines;
}

void put(int row, int column, const std::wstring& text, int columns, attr_t attributes = A_NORMAL) {
  int used = 0;
  std::size_t length = 0;
  while (length < text.size() && used + columns_of(text[length]) <= columns)
    used += columns_of(text[length++]);
  attron(attributes);
  mvaddnwstr(row, column, text.c_str(), static_cast<int>(length));
  attroff(attributes);
}

class Screen {
 public:
  Screen(Stepper& stepper, std::string title) : stepper_(stepper), title_(std::move(title)) {
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    const char* no_color = std::getenv("NO_COLOR");
    if ((no_color == nullptr || *no_color == '\0') && has_colors()) {
      start_color();
      use_default_colors();
      init_pair(1, COLOR_RED, -1);
      alarm_ = COLOR_PAIR(1);
    }
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() { endwin(); }

  void run() {
    for (bool goes_on = true; goes_on;) {
      draw();
      goes_on = take_key(getch());
    }
  }

 private:
  void draw() {
    erase();
    if (LINES >= 3 && COLS >= 20) {
      const int side = std::min(38, COLS * 2 / 5), rows = LINES - 2;
      put(0, 0,
          wide(fmt::format("{}  step {} of {}", printable(title_), stepper_.at() + 1,
                           stepper_.size())),
          COLS, A_BOLD);
      std::size_t here = 0, row = 0;
      for (const std::string& line : stepper_.list(static_cast<std::size_t>(rows), here)) {
        put(1 + static_cast<int>(row), 0, wide(line), side - 1,
            (row == here ? A_REVERSE : A_NORMAL) | (line.front() == '!' ? alarm_ : A_NORMAL));
        ++row;
      }
      mvvline(1, side - 1, ACS_VLINE, rows);
      const auto card = wrapped(wide(stepper_.card()), COLS - side - 1);
      scroll_ = std::clamp(scroll_, 0, std::max(0, static_cast<int>(card.size()) - rows));
      for (int i = 0; i < rows && i + scroll_ < static_cast<int>(card.size()); ++i)
        put(1 + i, side + 1, card[static_cast<std::size_t>(i + scroll_)], COLS - side - 1);
      put(LINES - 1, 0, wide(stepper_.message().empty() ? kKeys : printable(stepper_.message())),
          COLS - 1, A_DIM);
    }
    refresh();
  }

  // What is typed in the last line after `question`, until Enter; empty after Escape.
  std::string ask(const char* question) {
    std::string answer;
    while (true) {
      move(LINES - 1, 0);
      clrtoeol();
      put(LINES - 1, 0, wide(question + answer), COLS - 1);
      const int key = getch();
      if (key == '\n' || key == KEY_ENTER) return answer;
      if (key == 27 || key == ERR) return "";
      if (key == KEY_RESIZE) draw();
      if (key == KEY_BACKSPACE || key == 127 || key == 8) {
        while (!answer.empty() && (static_cast<unsigned char>(answer.back()) & 0xC0) == 0x80)
          answer.pop_back();
        if (!answer.empty()) answer.pop_back();
      } else if (key >= ' ' && key < 256) {
        answer += static_cast<char>(key);
      }
    }
  }

  bool press(const char* key, const std::string& argument = {}) {
    scroll_ = 0;
    return stepper_.press(key, argument);
  }

  bool take_key(int key) {
    switch (key) {
      case ERR:
        return false;  // the terminal is gone
      case KEY_RESIZE:
        return true;
      case KEY_RIGHT:
      case ' ':
        return press("n");
      case KEY_LEFT:
        return press("p");
      case KEY_HOME:
        return press("Home");
      case KEY_END:
        return press("End");
      case KEY_DOWN:
        ++scroll_;
        return true;
      case KEY_UP:
        --scroll_;
        return true;
      case KEY_NPAGE:
        scroll_ += LINES - 3;
        return true;
      case KEY_PPAGE:
        scroll_ -= LINES - 3;
        return true;
      case 'g':
      case '/': {
        const std::string answer = ask(key == 'g' ? "go to step: " : "search: ");
        return answer.empty() || press(key == 'g' ? "g" : "/", answer);
      }
      case 'n':
      case 'p':
      case 'N':
      case 'P':
      case 'c':
      case 't':
      case 'q': {
        const char name[] = {static_cast<char>(key), '\0'};
        return press(name);
      }
      default:
        return true;
    }
  }

  Stepper& stepper_;
  std::string title_;
  int scroll_ = 0;  // lines of the card that are above its pane
  attr_t alarm_ = A_BOLD;
};

}  // namespace

bool show_screen(Stepper& stepper, const std::string& title) {
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  // initscr() would end the process where newterm() says that it cannot.
  SCREEN* const terminal = newterm(nullptr, stdout, stdin);
  if (terminal == nullptr) {
    std::fputs("retrace: this terminal is not known (TERM), so here are all steps in plain text\n",
               stderr);
    return false;
  }
  Screen(stepper, title).run();
  delscreen(terminal);
  return true;
}

}  // namespace retrace::tools

#else

#include <cstdio>

namespace retrace::tools {

bool show_screen(Stepper&, const std::string&) {
  std::fputs(
      "retrace: built without ncurses (Debian: libncurses-dev), so here are all steps in plain "
      "text\n",
      stderr);
  return false;
}

}  // namespace retrace::tools

#endif
