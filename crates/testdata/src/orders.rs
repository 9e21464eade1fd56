//! Orders and what is found for them, as messages tell of them.

use crate::generator::Generator;
use crate::moment::HOUR;
use crate::scene::ORDERS_MAX;
use crate::world::Goods;

impl Generator {
    /// Orders something new; in one of twenty cases an order that waits is cancelled instead.
    pub(crate) fn order(&mut self, index: usize, goods: Goods) {
        self.scene.has_orders = true;
        if goods == Goods::Laboratory && self.world.open.len() > 10 && self.world.random.percent(5)
        {
            let concerned = self
                .world
                .take_newest(goods)
                .and_then(|open| Some((self.world.by_number(open.patient)?, open.order)));
            if let Some((index, order)) = concerned {
                self.concern(index, None);
                self.scene.orders[0] = order;
                (self.scene.orders[0].control, self.scene.orders[0].status) = ("CA", "CA");
                self.scene.order_count = 1;
                return;
            }
        }
        self.concern(index, None);
        self.scene.order_count = self.world.random.pick(&[1, 1, 1, 2, 3]);
        for at in 0..self.scene.order_count {
            let order = self.world.order(index, goods, self.world.now);
            self.scene.orders[at] = order;
            if self.waits_for(goods) {
                self.world.place(index, order);
            } else {
                self.world.await_result(index, order);
            }
        }
    }

    /// The filler answers an order.
    pub(crate) fn reply(&mut self) {
        for order in self.scene.orders.iter_mut().take(ORDERS_MAX) {
            (order.control, order.status) = ("OK", "SC");
        }
    }

    /// A result of what was ordered; in one of forty cases one that was told before is corrected.
    pub(crate) fn result(&mut self) {
        let goods = if self.world.random.percent(18)
            && self.scene.code == "ORU"
            && self.scene.trigger == "R01"
        {
            Goods::Imaging
        } else {
            Goods::Laboratory
        };
        self.report(goods);
    }

    fn report(&mut self, goods: Goods) {
        let waiting = self.world.waiting(goods, &mut self.scene.orders);
        let (index, count) =
            waiting.unwrap_or_else(|| self.world.placed_earlier(goods, &mut self.scene.orders));
        self.tell_result(index, count);
    }

    /// Tells a result only where one is due.
    pub(crate) fn report_waiting(&mut self, goods: Goods) -> Option<()> {
        let (index, count) = self.world.waiting(goods, &mut self.scene.orders)?;
        self.tell_result(index, count);
        Some(())
    }

    fn tell_result(&mut self, index: usize, count: usize) {
        self.concern(index, None);
        self.scene.order_count = count;
        self.scene.has_orders = true;
        self.scene.has_results = true;
        let (is_preliminary, is_wrong) = match self.world.random.below(40) {
            0..=2 => (true, false),
            3 => (false, true),
            _ => (false, false),
        };
        for at in 0..count {
            let Some(order) = self.scene.orders.get_mut(at) else { break };
            order.control = "RE";
            order.result = match order.result {
                "C" => "C",
                _ if is_preliminary => "P",
                _ => "F",
            };
            order.status = if order.result == "P" { "IP" } else { "CM" };
            order.performed = order.performed.min(self.world.now.plus(-600));
            order.placed = order.placed.min(order.performed.plus(-300));
            // What is preliminary is told again, and what is wrong is corrected later.
            let mut again = *order;
            match order.result {
                "P" => again.result = "F",
                "F" if is_wrong => {
                    again.result = "C";
                    again.revision += 1;
                }
                _ => continue,
            }
            self.world.await_result(index, again);
        }
    }

    pub(crate) fn fulfil(&mut self, goods: Goods) {
        self.report(goods);
        for order in self.scene.orders.iter_mut().take(ORDERS_MAX) {
            order.result = "F";
        }
        self.scene.order_count = self.scene.order_count.min(2);
    }

    pub(crate) fn vaccinate(&mut self) {
        let index = self.world.another(usize::MAX, None);
        self.concern(index, None);
        self.scene.order_count = self.world.random.pick(&[1, 1, 2]);
        self.scene.has_orders = true;
        self.scene.has_results = true;
        for at in 0..self.scene.order_count {
            let placed = self.world.now.plus(-HOUR);
            let mut order = self.world.order(index, Goods::Vaccine, placed);
            (order.control, order.status) = ("RE", "CM");
            order.performed = self.world.now.plus(-1800);
            self.scene.orders[at] = order;
        }
    }
}
