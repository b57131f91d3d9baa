// saver WHAT FOLDER ELSEWHERE: saves version 2 in FOLDER, says on its output how that ended, and
// then saves elsewhere, which has to work whatever happened before.
#include <exception>
#include <iostream>

#include <retrace/tests/faults/saves.h>

int main(int, char** argv) {
  try {
    retrace::testing::save(argv[1], argv[2], 2);
    std::cout << "saved\n";
  } catch (const std::exception& error) {
    std::cout << "refused " << error.what() << "\n";
  }
  retrace::testing::save(argv[1], argv[3], 2);
  std::cout << "saved elsewhere\n";
}
