use super::*;

/// A packet of a token whose words from 4 on are these; what follows is zero.
fn packet(bytes: usize, token: u32, words: &[(usize, u32)]) -> Vec<u8> {
    let mut packet = vec![0; bytes];
    for (place, word) in words.iter().copied().chain([(0, token)]) {
        packet[place..place + 4].copy_from_slice(&word.to_be_bytes());
    }
    packet
}

fn read(bytes: &[u8]) -> Packet<'_> {
    Packet::of(bytes).unwrap()
}

fn paise(paise: i64) -> Price {
    Price::from_scaled(paise, 2).unwrap()
}

const NSE: u32 = 0x101;
const MCX: u32 = 0x107;

#[test]
fn a_contract_before_its_first_trade_has_no_price() {
    let prices = [(12, 0x8000_0000), (28, 0), (32, 0x88ca_6c00), (36, 0x88ca_6c00), (40, 550_000)];
    for (bytes, kind) in [(44, Kind::Quote), (184, Kind::Full)] {
        let bytes = packet(bytes, MCX, &prices);
        let wanted =
            Tick::new(7).close(paise(550_000)).volume(0).total_buy_quantity(0).total_sell_quantity(0);
        assert_eq!((read(&bytes).kind, read(&bytes).tick(7)), (kind, wanted));
    }
    let index = packet(32, 0x109, &[(8, 0x88ca_6c00), (12, u32::MAX), (16, 0x7fff_ffff), (28, 315_532_800)]);
    assert_eq!(read(&index).tick(7), Tick::new(7));
}

#[test]
fn prices_below_zero_are_those_of_commodities_alone() {
    let price = |token| read(&packet(8, token, &[(4, (-288_400_i32).cast_unsigned())])).last_price();
    assert_eq!(
        (price(MCX), price(NSE), price(0x103), price(0x10c)),
        (Some(paise(-288_400)), None, None, None)
    );
    let dear = |token| read(&packet(8, token, &[(4, 2_500_000_000)])).last_price();
    assert_eq!(dear(0x10c), Price::from_scaled(2_500_000_000, 4));
    assert_eq!((dear(MCX), dear(NSE)), (None, None));
}

#[test]
fn the_scale_of_a_segment_that_nobody_knows_is_not_guessed() {
    let bytes = packet(44, 0x1_00ee, &[(4, 830_025_000), (16, 5), (28, 830_000_000)]);
    let packet = read(&bytes);
    assert_eq!((packet.scale, packet.last_price()), (None, None));
    let of = |exchange| Packet { scale: Scale::of_exchange(exchange), ..packet }.last_price();
    assert_eq!(of("CDS"), Price::from_scaled(830_025_000, 7));
    assert_eq!(of("BCD"), Price::from_scaled(830_025_000, 4));
    assert_eq!(of("NSE_INDEX"), Some(paise(830_025_000)));
    assert_eq!((Scale::of_exchange("NYSE"), Scale::of_exchange("")), (None, None));
    let known = (0..=255).filter(|segment| Scale::of_token(*segment).is_some());
    assert_eq!(known.collect::<Vec<u32>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 12]);
}

#[test]
fn a_level_needs_a_price_and_a_row_of_either_zero_is_not_padding_alone() {
    // Row by row: of a bid, a market order, padding, a price without a quantity, a word for none.
    let rows = [(10, 62_500), (500, 0), (0, 0), (0, 62_400), (5, 0x8000_0000)];
    let mut words = Vec::new();
    for (place, (quantity, price)) in (64..).step_by(12).zip(rows) {
        words.extend([(place, quantity), (place + 4, price)]);
    }
    let bytes = packet(184, NSE, &words);
    let book = read(&bytes).book().unwrap();
    let level = |price, quantity| Level { price: paise(price), quantity, orders: Some(0) };
    assert_eq!(book.buy(), [level(62_500, 10), level(62_400, 0)]);
    assert_eq!(book.sell(), []);
}

#[test]
fn times_and_open_interest_that_have_not_come_are_absent() {
    let at = 1_790_676_600;
    for (time, nanos) in
        [(0, None), (315_532_800, None), (0x7fff_ffff, None), (at, Some(u64::from(at) * 1_000_000_000))]
    {
        let bytes = packet(184, NSE, &[(44, time), (60, time), (48, 9), (52, 12), (56, 0)]);
        let tick =
            Tick::new(7).volume(0).total_buy_quantity(0).total_sell_quantity(0).oi(9).oi_high(12).oi_low(0);
        let tick = nanos.map_or(tick, |nanos| tick.last_trade_ts_ns(nanos).exchange_ts_ns(nanos));
        assert_eq!(read(&bytes).tick(7), tick);
    }
    let fallen = packet(184, NSE, &[(52, 12), (8, 3), (16, u32::MAX), (20, 3_000_000_000)]);
    let tick = Tick::new(7).last_quantity(3).total_buy_quantity(3_000_000_000).total_sell_quantity(0);
    assert_eq!(read(&fallen).tick(7), tick.oi(0).oi_high(12).oi_low(0));
}
