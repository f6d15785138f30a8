# Flags shared by every target, and the words the folders' CMakeLists.txt are written in.
# A folder is a target is a namespace: torii_library() takes every .cc of its folder.

add_library(torii_flags INTERFACE)
target_compile_options(torii_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror -march=x86-64-v2 -fno-strict-aliasing>)
target_include_directories(torii_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
set(CMAKE_CXX_FLAGS_DEBUG "-g -O1")
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1 -DNDEBUG")
if(TORII_SANITIZE)
  target_compile_options(torii_flags INTERFACE -fsanitize=${TORII_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(torii_flags INTERFACE -fsanitize=${TORII_SANITIZE})
endif()

# torii_library(NAME [LIBS...]): static library of the current folder's *.cc (header-only if there are none).
function(torii_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main[^/]*\\.cc$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC torii_flags ${ARGN})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE torii_flags ${ARGN})
  endif()
endfunction()

# torii_tests(NAME [LIBS...]): one GoogleTest program of the current folder's *_test.cc; each TEST is a ctest case.
function(torii_tests name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(sources)
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE ${ARGN} torii_test_support GTest::gmock GTest::gtest_main)
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 LABELS "unit")
  endif()
endfunction()
