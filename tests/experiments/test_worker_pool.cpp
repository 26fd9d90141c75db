#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "experiments/data/worker_pool.h"

using sbp::experiments::WorkerPool;

TEST_CASE("worker pool: does each item once, for any number of workers and items") {
  for (const std::int64_t workers : {1, 2, 5}) {
    WorkerPool pool(workers);
    CHECK(pool.workers() == static_cast<std::size_t>(workers));
    for (const std::int64_t items : {0, 1, 3, 1000, 7}) {
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(items));
      pool.run(items, [&](std::int64_t item, std::size_t worker) {
        REQUIRE(worker < pool.workers());
        ++done[static_cast<std::size_t>(item)];
      });
      for (const auto& count : done) REQUIRE(count == 1);
    }
  }
}

TEST_CASE("worker pool: the first item's exception comes out, the rest is done, and it goes on") {
  WorkerPool pool(4);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> done = 0;
    const auto run = [&] {
      pool.run(20, [&](std::int64_t item, std::size_t) {
        if (item == 7 || item == 3 || item == 15) throw std::runtime_error(std::to_string(item));
        ++done;
      });
    };
    CHECK_THROWS_WITH_AS(run(), "3", std::runtime_error);
    CHECK(done == 17);
  }
  int sum = 0;
  WorkerPool(1).run(4, [&](std::int64_t item, std::size_t) { sum += static_cast<int>(item); });
  CHECK(sum == 6);
}
