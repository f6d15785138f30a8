# Flags shared by every target, and the words the folders' CMakeLists.txt are written in.
# A folder is a target is a namespace: torii_library() takes every .cc of its folder.

add_library(torii_flags INTERFACE)
target_compile_options(torii_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror -march=x86-64-v2 -fno-strict-aliasing -fno-semantic-interposition>)
# GCC 12 sees uninitialised strings, overlapping and endless copies where there are none, at -O3 and under the
# sanitizers; those find the real ones.
target_compile_options(torii_flags INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overread>)
target_include_directories(torii_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
set(CMAKE_CXX_FLAGS_DEBUG "-g -O1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")  # dataplane/ adds -O3
if(TORII_SANITIZE)
  target_compile_options(torii_flags INTERFACE -fsanitize=${TORII_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(torii_flags INTERFACE -fsanitize=${TORII_SANITIZE})
endif()

# torii_library(NAME [LIBS...]): static library of the current folder's *.cc (header-only if there are none).
function(torii_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/(main[^/]*|pch)\\.cc$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC torii_flags ${ARGN})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE torii_flags ${ARGN})
  endif()
endfunction()

# What a sanitizer build's test cases are called, so that one ctest run tells them from the plain ones.
string(REPLACE "address,undefined" "asan/" TORII_TEST_PREFIX "${TORII_SANITIZE}")
string(REPLACE "thread" "tsan/" TORII_TEST_PREFIX "${TORII_TEST_PREFIX}")

# torii_tests(NAME [LIBS...]): one GoogleTest program of the current folder's *_test.cc; each TEST is a ctest case.
function(torii_tests name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(sources)
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE ${ARGN} torii_test_support GTest::gmock GTest::gtest_main)
    target_precompile_headers(${name} REUSE_FROM torii_test_headers)
    gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${TORII_TEST_PREFIX}" NO_PRETTY_VALUES
                         PROPERTIES TIMEOUT 300 LABELS "unit")
  endif()
endfunction()

# torii_pytests(LABEL SECONDS): one ctest case for each test_*.py of the current folder, run alone because
# they measure and disturb the network of the machine. They find the programs in $TORII_BIN.
function(torii_pytests label seconds)
  file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.py)
  foreach(script ${scripts})
    get_filename_component(name ${script} NAME_WE)
    add_test(NAME ${label}/${name}
             COMMAND /usr/bin/python3 -m pytest -q -x -p no:cacheprovider --durations=5 ${script}
             WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    set_tests_properties(${label}/${name} PROPERTIES RUN_SERIAL ON TIMEOUT ${seconds} LABELS ${label}
                         ENVIRONMENT "TORII_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1")
  endforeach()
endfunction()
