"""Conan 2: conan create packaging/conan"""

import os
import re

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class Retrace(ConanFile):
    name = "retrace"
    license = "MIT"
    description = "Deep learning you can step through"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    requires = ("cli11/2.3.2", "fmt/9.1.0", "nlohmann_json/3.11.2", "openblas/0.3.26", "pcre2/10.42",
                "random123/1.14.0", "spdlog/1.11.0", "zlib/1.2.13")

    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._root(), "tensor", "version.h"))
        self.version = ".".join(re.findall(r"#define RETRACE_VERSION_[A-Z]+ (\d+)", header))

    def export_sources(self):
        for pattern in ("*.h", "*.cpp", "*.in", "*.js", "*.css", "*.cmake", "*.map", "*.txt", "LICENSE"):
            copy(self, pattern, self._root(), self.export_sources_folder,
                 excludes=("build*", "tests/*", "bench/*", "examples/*", "packaging/*"))

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for part in ("TESTS", "EXAMPLES", "BENCH", "TOOLS"):
            toolchain.cache_variables[f"RETRACE_BUILD_{part}"] = False
        toolchain.cache_variables["RETRACE_NATIVE"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.libs = ["retrace"]
        self.cpp_info.set_property("cmake_target_name", "retrace::retrace")
        self.cpp_info.cxxflags = ["-fopenmp-simd"]
        self.cpp_info.system_libs = ["dl", "pthread"]
